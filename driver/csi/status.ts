import { status } from '@grpc/grpc-js'
import { NocredsError } from '../../shared/base/errors.ts'
import { DRIVER_ERRORS, type DriverErrorCode } from '../errors.ts'

/** What the kubelet is told of a call that failed; it shows `details` in the pod's events. */
export interface CallStatus {
  readonly code: status
  readonly details: string
}

/** Characters. The kubelet cuts the message of an event at 1024, and writes its own words first. */
const MAX_DETAILS = 800

/**
 * A NocredsError is told with its message and hint; its code decides the status, which is INTERNAL for
 * codes that are not in DRIVER_ERRORS. Of anything else only a fixed sentence is told.
 */
export function statusOf(thrown: unknown): CallStatus {
  if (!(thrown instanceof NocredsError)) {
    return { code: status.INTERNAL, details: 'an error in the driver; its log has more' }
  }
  const { code, message, hint } = thrown as NocredsError
  const details = hint === undefined ? message : `${message}; ${hint}`
  return Object.hasOwn(DRIVER_ERRORS, code)
    ? { code: status[DRIVER_ERRORS[code as DriverErrorCode]], details: bounded(details) }
    : { code: status.INTERNAL, details: bounded(`${code}: ${details}`) } // STS's own code, or the authority's
}

/** One line of at most MAX_DETAILS characters, which can be sent: no half of a surrogate pair is left. */
function bounded(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
  const cut = line.length > MAX_DETAILS ? `${line.slice(0, MAX_DETAILS - 1)}…` : line
  return cut.toWellFormed()
}
