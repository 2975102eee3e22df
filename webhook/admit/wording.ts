import type { Permission } from '../../shared/server/permission.ts'

/** Last part of a denial for lack of permission. */
export const CHANGED_BY = 'an administrator of the Namespace can change that'

/** A user's text in quotes, cut if long, so that a hostile one cannot fill the event log. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

/** An expression of a Namespace, and why it permits nothing if it is not valid. */
export function describeExpression(expression: string | undefined, permits: Permission): string {
  const is = expression === undefined ? 'not set' : quoted(expression)
  return permits.valid ? is : `${is} (not a valid RE2 expression: ${permits.why})`
}
