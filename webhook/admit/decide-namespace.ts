import { AnnotationError, readAnnotations } from '../../contract/annotations.ts'
import {
  INJECTION_LABEL,
  PERMITTED_DNS_NAMES,
  PERMITTED_ROLES,
  PERMITTED_SESSION_NAMES,
  PERMITTED_SESSION_TAGS,
  PREFIX,
} from '../../contract/names.ts'
import { permission } from '../../shared/server/permission.ts'
import { diff } from './json-patch.ts'
import { nameOf, type Namespace } from './pod.ts'
import { denied, unchanged, type Admitted, type Denied, type Verdict } from './verdict.ts'
import { defaultRoleWarnings } from './warnings/default-role.ts'
import { expressionWarnings } from './warnings/expressions.ts'
import { peerWarningsOf } from './warnings/peers.ts'
import { quoted } from './wording.ts'

/** A Namespace after the change, and before it if this is an update. */
export interface NamespaceFacts {
  readonly namespace: Namespace
  readonly before: Namespace | undefined
}

/**
 * Validates the annotations of a Namespace and keeps its injection label in sync with them: the label
 * is present if and only if roles can be permitted or the annotation for names of certificates is set, even to ""
 * (certificates, but only with the namespace's own names). So an operator writes only the annotation.
 *
 * An update that does not change annotations of nocreds is never denied; otherwise a namespace could become
 * impossible to change or delete.
 */
export function decideNamespace({ namespace, before }: NamespaceFacts): Verdict {
  if (before !== undefined && isUntouched(namespace, before)) return labelInSync(namespace)
  const refusal = invalid(namespace, before)
  if (refusal !== undefined) return refusal
  const warnings = [
    ...expressionWarnings(namespace.metadata.annotations?.[PERMITTED_ROLES]),
    ...defaultRoleWarnings(namespace.metadata.annotations),
    ...peerWarningsOf(namespace),
  ]
  return { ...labelInSync(namespace), warnings }
}

function ownAnnotations(namespace: Namespace): [string, string][] {
  return Object.entries(namespace.metadata.annotations ?? {})
    .filter(([key]) => key.startsWith(PREFIX))
    .sort(([one], [other]) => (one < other ? -1 : 1))
}

function isUntouched(namespace: Namespace, before: Namespace): boolean {
  return JSON.stringify(ownAnnotations(namespace)) === JSON.stringify(ownAnnotations(before))
}

function invalid(namespace: Namespace, before: Namespace | undefined): Denied | undefined {
  const { annotations } = namespace.metadata
  const name = nameOf(namespace)
  try {
    readAnnotations('Namespace', name, annotations ?? {})
  } catch (error) {
    if (error instanceof AnnotationError) return denied('invalid-annotation', error.message)
    throw error
  }
  for (const [key, what] of EXPRESSIONS) {
    const expression = annotations?.[key]
    const isNew = expression !== before?.metadata.annotations?.[key]
    const why = whyInvalid(expression, what, isNew)
    if (why === undefined) continue
    return denied(
      'invalid-expression',
      `Namespace ${name}: annotation ${key} is ${quoted(expression ?? '')}; allowed: an RE2 expression, but ${why}`,
    )
  }
  return undefined
}

/** The annotations that are expressions, and what each permits. */
const EXPRESSIONS = [
  [PERMITTED_ROLES, 'role'],
  [PERMITTED_DNS_NAMES, 'name'],
  [PERMITTED_SESSION_NAMES, 'session name'],
  [PERMITTED_SESSION_TAGS, 'session tag'],
] as const

/** Older versions accepted an expression that matches the empty text, so an existing one may stay. */
function whyInvalid(
  expression: string | undefined,
  what: string,
  isNew: boolean,
): string | undefined {
  const permits = permission(expression)
  if (!permits.valid) return permits.why
  if (!isNew || !permits.matchesEmptyText) return undefined
  return `it matches the empty text, which is not a ${what}; write .+ for every ${what}`
}

/** True if pods of the namespace can be served. */
function isEnabled(annotations: Namespace['metadata']['annotations']): boolean {
  const roles = annotations?.[PERMITTED_ROLES] ?? ''
  return roles.trim() !== '' || annotations?.[PERMITTED_DNS_NAMES] !== undefined
}

/** The label as the annotations demand it, whether they are valid or not: invalid ones permit nothing. */
export function labelInSync(namespace: Namespace): Admitted {
  const { annotations, labels } = namespace.metadata
  const wanted = isEnabled(annotations)
  const { key, value } = INJECTION_LABEL
  const present = labels?.[key]
  if (wanted ? present === value : present === undefined) return unchanged('up-to-date')

  const others = Object.entries(labels ?? {}).filter(([name]) => name !== key)
  const inSync = Object.fromEntries(wanted ? [...others, [key, value]] : others)
  const labelled = { ...namespace, metadata: { ...namespace.metadata, labels: inSync } }
  return {
    decision: 'mutated',
    reason: wanted ? 'label-added' : 'label-removed',
    patch: diff(namespace, labelled),
    warnings: [],
  }
}
