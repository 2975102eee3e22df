const SHOWN_LENGTH = 500
/** Header and payload are JSON objects in base64url, which begin with `ey`; host names must stay. */
const JWT = /\bey[\w-]+\.[\w-]+(?:\.[\w-]*)*/g

/** Texts of the other side are shown, but cut, in one line, and without anything that could be a token. */
export function shown(text: string): string {
  return text.replaceAll(JWT, '[token]').replaceAll(/\s+/g, ' ').slice(0, SHOWN_LENGTH)
}
