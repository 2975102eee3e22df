/** What the placeholders of a session name stand for. */
export interface SessionNameParts {
  readonly namespace: string
  readonly serviceaccount: string
  readonly pod: string
}

export const DEFAULT_SESSION_NAME = '{namespace}.{serviceaccount}'

export const SESSION_NAME_ALLOWED =
  '1–256 characters of text with the placeholders {namespace}, {serviceaccount} and {pod}'

/** RoleSessionName of STS: 2–64 of these. Source: STS API reference, AssumeRoleWithWebIdentity. */
export const SESSION_NAME_LENGTH = { min: 2, max: 64 } as const
const NOT_ALLOWED = /[^\w+=,.@-]/g
const PLACEHOLDER = /\{([^{}]*)\}/g
const KNOWN: readonly string[] = [
  'namespace',
  'serviceaccount',
  'pod',
] satisfies readonly (keyof SessionNameParts)[]

export function isSessionNameTemplate(text: string): boolean {
  return text.length >= 1 && text.length <= 256 && isTemplate(text)
}

/** True for a text whose placeholders are all known, and which has no other braces. */
export function isTemplate(text: string): boolean {
  const names = [...text.matchAll(PLACEHOLDER)].map((match) => match[1] ?? '')
  return names.every((name) => KNOWN.includes(name)) && !/[{}]/.test(text.replace(PLACEHOLDER, ''))
}

/** The template with its literals sanitised, so that it is safe in any env value. */
export function sanitiseTemplate(template: string): string {
  return template
    .split(/(\{[^{}]*\})/)
    .map((piece) => (piece.startsWith('{') ? piece : piece.replace(NOT_ALLOWED, '-')))
    .join('')
}

/**
 * True for a template that needs no permission, because what it becomes tells the namespace: names of
 * namespaces have no dots, so no other namespace's template becomes the same.
 */
export function isNamespaced(template: string): boolean {
  return template === '{namespace}' || template.startsWith('{namespace}.')
}

/** The template with its placeholders filled in, and nothing else changed; what `parts` lacks stays. */
export function fillIn(template: string, parts: Partial<SessionNameParts>): string {
  return template.replace(PLACEHOLDER, (whole, name: string) =>
    KNOWN.includes(name) ? (parts[name as keyof SessionNameParts] ?? whole) : whole,
  )
}

/**
 * Fills in the template. Characters that STS refuses become `-`; the result is cut to 64 and filled
 * with `-` to 2, so any valid template and any Kubernetes names give a valid RoleSessionName.
 */
export function renderSessionName(template: string, parts: SessionNameParts): string {
  return fillIn(template, parts)
    .replace(NOT_ALLOWED, '-')
    .slice(0, SESSION_NAME_LENGTH.max)
    .padEnd(SESSION_NAME_LENGTH.min, '-')
}
