import { AnnotationError, readAnnotations } from '../../contract/annotations.ts'
import {
  INJECTION_LABEL,
  PERMITTED_DNS_NAMES,
  PERMITTED_ROLES,
  PREFIX,
} from '../../contract/names.ts'
import { diff } from './json-patch.ts'
import { permission } from '../../service/permission.ts'
import type { Namespace } from './pod.ts'
import { denied, unchanged, type Denied, type Verdict } from './verdict.ts'

/** A Namespace as it is to become, and as it was where it is an update. */
export interface NamespaceFacts {
  readonly namespace: Namespace
  readonly before: Namespace | undefined
}

/**
 * Validates the annotations of a Namespace and keeps its injection label in step with them: the label
 * is there exactly where a role can be permitted, or where names of certificates are spoken of, even by ""
 * (certificates, but no names beyond the namespace's own). So one annotation is all an operator writes.
 *
 * An update that leaves our annotations alone is never denied, or a namespace could become impossible
 * to change or delete.
 */
export function decideNamespace({ namespace, before }: NamespaceFacts): Verdict {
  const refusal =
    before !== undefined && isUntouched(namespace, before) ? undefined : invalid(namespace)
  return refusal ?? withLabelInStep(namespace)
}

function ourAnnotations(namespace: Namespace): [string, string][] {
  return Object.entries(namespace.metadata.annotations ?? {})
    .filter(([key]) => key.startsWith(PREFIX))
    .sort(([one], [other]) => (one < other ? -1 : 1))
}

function isUntouched(namespace: Namespace, before: Namespace): boolean {
  return JSON.stringify(ourAnnotations(namespace)) === JSON.stringify(ourAnnotations(before))
}

function invalid(namespace: Namespace): Denied | undefined {
  const { name, annotations } = namespace.metadata
  try {
    readAnnotations('Namespace', name, annotations ?? {})
  } catch (error) {
    if (error instanceof AnnotationError) return denied('invalid-annotation', error.message)
    throw error
  }
  for (const key of [PERMITTED_ROLES, PERMITTED_DNS_NAMES]) {
    const expression = annotations?.[key]
    const permits = permission(expression)
    if (permits.valid) continue
    return denied(
      'invalid-expression',
      `Namespace ${name}: annotation ${key} is ${JSON.stringify(expression)}; allowed: an RE2 expression, but ${permits.why}`,
    )
  }
  return undefined
}

/** True where pods can be given something. */
function takesPart(annotations: Namespace['metadata']['annotations']): boolean {
  const roles = annotations?.[PERMITTED_ROLES] ?? ''
  return roles.trim() !== '' || annotations?.[PERMITTED_DNS_NAMES] !== undefined
}

function withLabelInStep(namespace: Namespace): Verdict {
  const { annotations, labels } = namespace.metadata
  const wanted = takesPart(annotations)
  const { key, value } = INJECTION_LABEL
  const present = labels?.[key]
  if (wanted ? present === value : present === undefined) return unchanged('in-step')

  const others = Object.entries(labels ?? {}).filter(([name]) => name !== key)
  const inStep = Object.fromEntries(wanted ? [...others, [key, value]] : others)
  const labelled = { ...namespace, metadata: { ...namespace.metadata, labels: inStep } }
  return {
    decision: 'mutated',
    reason: wanted ? 'label-added' : 'label-removed',
    patch: diff(namespace, labelled),
    warnings: [],
  }
}
