import { NocredsError } from '../shared/base/errors.ts'

/** Reasons for not issuing a certificate, with the HTTP status: the `code` in responses and the `reason` in metric and log. */
export const REFUSALS = {
  'request-invalid': 400,
  'csr-invalid': 400,
  'duration-out-of-bounds': 400,
  'token-invalid': 401,
  'token-lifetime-too-long': 401,
  'pod-gone': 403,
  'pod-not-scheduled': 403,
  'node-mismatch': 403,
  'namespace-not-enabled': 403,
  'name-not-permitted': 403,
  'too-large': 413,
  'not-ready': 503,
  'apiserver-unreachable': 503,
} as const

export type Reason = keyof typeof REFUSALS

/** A refused request; the message is for the author of the annotation. */
export class Refusal extends NocredsError<Reason> {
  /** HTTP status. */
  get status(): number {
    return REFUSALS[this.code]
  }
}
