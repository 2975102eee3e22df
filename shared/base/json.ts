// JSON from outside is read field by field with these two; the webhook alone has zod, for whole pods. In the authority
// each field has a reason and a message of its own, which would have to be found again in zod's list of issues, and
// zod/mini would add 21 KiB to its bundle.

/** The fields of a JSON object; undefined if the text is anything else. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
  return parsed as Record<string, unknown>
}

/** The fields of a parsed value; none if it has no fields. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
