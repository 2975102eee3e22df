import type { Operation } from '../../shared/server/kube/kube-client.ts'

/**
 * Why an object was admitted or denied: a label of the metric and a field of the decision log. `denied`: the object
 * must change; `retry`: denied, but the same request may succeed soon.
 */
export const REASONS = {
  injected: 'admitted',
  'already-injected': 'admitted',
  'opted-out': 'admitted',
  'mirror-pod': 'admitted',
  'no-role': 'admitted',
  'operation-not-handled': 'admitted',
  'label-added': 'admitted',
  'label-removed': 'admitted',
  'up-to-date': 'admitted',
  'invalid-object': 'denied',
  'review-too-large': 'denied',
  'invalid-annotation': 'denied',
  'invalid-expression': 'denied',
  'service-account-not-found': 'denied',
  'role-not-permitted': 'denied',
  'delivery-not-permitted': 'denied',
  'session-name-not-permitted': 'denied',
  'session-tag-not-permitted': 'denied',
  'name-not-permitted': 'denied',
  'windows-pod': 'denied',
  'endpoint-with-host-network': 'denied',
  'session-name-too-long': 'denied',
  'session-tag-too-long': 'denied',
  'foreign-volume': 'denied',
  'foreign-container': 'denied',
  'reserved-name': 'denied',
  'apiserver-unreachable': 'retry',
  'deadline-exceeded': 'retry',
  'internal-error': 'retry',
} as const satisfies Readonly<Record<string, 'admitted' | 'denied' | 'retry'>>

export type Reason = keyof typeof REASONS

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
  /** HTTP status that the apiserver passes on; 5xx tells controllers to try again. */
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

/** Denied because of the webhook or the apiserver, not because of the object. */
export function deniedForNow(reason: Reason, message: string): Denied {
  return { decision: 'denied', reason, message, status: reason === 'internal-error' ? 500 : 503 }
}
