const MAX_LENGTH = 500
/** Header and payload are JSON objects in base64url, which begin with `ey`; host names are not matched. */
const JWT = /\bey[\w-]+\.[\w-]+(?:\.[\w-]*)*/g

/**
 * Makes a text of the other side safe to show: truncated, in one line, without anything that could be a token.
 *
 * @param secrets further texts that it must not show, such as keys that were sent
 */
export function redact(text: string, secrets: readonly string[] = []): string {
  const shown = secrets.reduce((all, secret) => all.replaceAll(secret, '[secret]'), text)
  return shown.replaceAll(JWT, '[token]').replaceAll(/\s+/g, ' ').slice(0, MAX_LENGTH)
}
