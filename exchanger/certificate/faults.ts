import type { CertificateRefusal } from '../../contract/certificates.ts'
import { jsonObject } from '../../shared/base/json.ts'
import type { FailureClass } from '../failure.ts'
import type { Answer } from './authority-client.ts'

/** What the authority said instead of a certificate. */
export interface Fault extends CertificateRefusal {
  readonly failureClass: FailureClass
}

/** The very same request may succeed in a moment. */
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429]

const CODE = /^[a-z][a-z0-9-]{0,63}$/

/**
 * Reads a refusal. An answer that is none of the authority is `transient` whatever its status, and none
 * of it is shown.
 */
export function faultOf({ status, body }: Answer): Fault {
  const refusal = refusalOf(body)
  if (refusal === undefined || status < 400) {
    const message = `the answer, with HTTP status ${status}, is none of the authority`
    return { code: 'MalformedResponse', failureClass: 'transient', message }
  }
  return { ...refusal, failureClass: classOf(refusal.code, status) }
}

function classOf(code: string, status: number): FailureClass {
  if (code === 'token-invalid' || status === 401) return 'token'
  return status >= 500 || TRANSIENT_STATUSES.includes(status) ? 'transient' : 'refused'
}

function refusalOf(body: string): CertificateRefusal | undefined {
  const fields = jsonObject(body)
  if (fields === undefined) return undefined
  const { code, message } = fields
  if (typeof code !== 'string' || typeof message !== 'string' || !CODE.test(code)) return undefined
  return { code, message }
}
