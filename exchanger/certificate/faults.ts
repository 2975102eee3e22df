import type { CertificateRefusal } from '../../contract/certificates.ts'
import { jsonObject } from '../../shared/base/json.ts'
import type { FailureClass } from '../failure.ts'
import type { AuthorityResponse } from './authority-client.ts'

/** An error response of the authority. */
export interface Fault extends CertificateRefusal {
  readonly failureClass: FailureClass
}

/** The same request may succeed soon. */
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429]

const CODE = /^[a-z][a-z0-9-]{0,63}$/

/**
 * Parses a refusal. A response that is not one of the authority is `transient`, whatever its status, and its
 * content is not shown.
 */
export function faultOf({ status, body }: AuthorityResponse): Fault {
  const refusal = refusalOf(body)
  if (refusal === undefined || status < 400) {
    const message = `the response, with HTTP status ${status}, is not a response of the authority`
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
