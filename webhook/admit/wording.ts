import type { Permission } from '../../shared/server/permission.ts'

/** Ends a denial for want of permission. */
export const CHANGED_BY = 'an administrator of the Namespace can change that'

/** A text of a user as it is, but a hostile one does not fill the event log. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

/** An expression of a Namespace, and why it permits nothing if it is not valid. */
export function describeExpression(expression: string | undefined, permits: Permission): string {
  const is = expression === undefined ? 'not set' : quoted(expression)
  return permits.valid ? is : `${is} (not a valid RE2 expression: ${permits.why})`
}
