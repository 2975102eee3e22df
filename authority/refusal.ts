import { NocredsError } from '../shared/base/errors.ts'

/** Why no certificate is issued: the `code` on the wire, and the reason label of the metric. */
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

/** A request that is refused; the message is for the person who wrote the annotation. */
export class Refusal extends NocredsError<Reason> {
  /** Of HTTP. */
  get status(): number {
    return REFUSALS[this.code]
  }
}
