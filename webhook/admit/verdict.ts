import type { Operation } from '../../shared/server/kube/kube-client.ts'

/** Why an object was admitted or denied: the label of the metric and a field of the decision log. */
export type Reason =
  // admitted
  | 'injected'
  | 'already-injected'
  | 'opted-out'
  | 'mirror-pod'
  | 'no-role'
  | 'operation-not-handled'
  | 'label-added'
  | 'label-removed'
  | 'in-step'
  // denied: the object must change
  | 'invalid-object'
  | 'review-too-large'
  | 'invalid-annotation'
  | 'invalid-expression'
  | 'service-account-not-found'
  | 'role-not-permitted'
  | 'delivery-not-permitted'
  | 'session-name-not-permitted'
  | 'name-not-permitted'
  | 'windows-pod'
  | 'endpoint-with-host-network'
  | 'session-name-too-long'
  | 'foreign-volume'
  | 'foreign-container'
  | 'reserved-name'
  // denied, but the same request may succeed in a moment
  | 'apiserver-unreachable'
  | 'deadline-exceeded'
  | 'internal-error'

export interface Admitted {
  readonly decision: 'mutated' | 'unchanged'
  readonly reason: Reason
  readonly patch: readonly Operation[]
  readonly warnings: readonly string[]
  /** The ARN that a pod was admitted with. */
  readonly role?: string
}

export interface Denied {
  readonly decision: 'denied'
  readonly reason: Reason
  /** Plain words for the person who applied the object. */
  readonly message: string
  /** HTTP status that the apiserver hands on; 5xx tells controllers to try again. */
  readonly status: number
  readonly role?: string
}

export type Verdict = Admitted | Denied

export function unchanged(reason: Reason): Admitted {
  return { decision: 'unchanged', reason, patch: [], warnings: [] }
}

export function denied(reason: Reason, message: string, role?: string): Denied {
  return {
    decision: 'denied',
    reason,
    message,
    status: reason === 'review-too-large' ? 413 : 403,
    ...(role === undefined ? {} : { role }),
  }
}

/** Denied because of us or the apiserver, not because of the object. */
export function deniedForNow(reason: Reason, message: string): Denied {
  return { decision: 'denied', reason, message, status: reason === 'internal-error' ? 500 : 503 }
}
