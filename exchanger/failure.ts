import type { CredentialsConfig } from '../contract/exchanger-env.ts'
import { NocredsError } from '../shared/base/errors.ts'
import { jsonObject } from '../shared/base/json.ts'

/**
 * How a failed exchange is to be treated:
 * - `token`: nothing helps until the kubelet has written a new token
 * - `transient`: the same request may succeed in a moment
 * - `refused`: a person must change something, in IAM, in an annotation or in the namespace
 */
const FAILURE_CLASSES = ['token', 'transient', 'refused'] as const
export type FailureClass = (typeof FAILURE_CLASSES)[number]

/**
 * An exchange of the token that gave neither credentials nor a certificate. `code` is the other side's
 * own where STS (`AccessDenied`) or the authority (`name-not-permitted`) answered, Node's where the
 * network did (`ECONNREFUSED`), else one of ours (`TokenMissing`). Neither message
 * nor hint holds a secret; there is no cause, because errors of the SDK drag the response along.
 */
export class SidecarError extends NocredsError {
  readonly failureClass: FailureClass

  constructor(failureClass: FailureClass, code: string, message: string, hint?: string) {
    super(code, message, hint === undefined ? {} : { hint })
    this.failureClass = failureClass
  }
}

/** Who asks for what. */
export type Subject = Pick<CredentialsConfig, 'roleArn' | 'namespace' | 'serviceAccount'>

/** `arn:… for ServiceAccount team-a/app`: part of every message. */
export function nameOf({ roleArn, namespace, serviceAccount }: Subject): string {
  return `${roleArn} for ServiceAccount ${namespace}/${serviceAccount}`
}

/** `exchange of arn:… for ServiceAccount team-a/app`: what there is none of, when credentials fail. */
export function exchangeOf(subject: Subject): string {
  return `exchange of ${nameOf(subject)}`
}

/** The same for certificates: `certificate for ServiceAccount team-a/app`. */
export function certificateFor({ namespace, serviceAccount }: Omit<Subject, 'roleArn'>): string {
  return `certificate for ServiceAccount ${namespace}/${serviceAccount}`
}

/** The same for what peers are known by: `trust bundle for ServiceAccount team-a/app`. */
export function trustBundleFor({ namespace, serviceAccount }: Omit<Subject, 'roleArn'>): string {
  return `trust bundle for ServiceAccount ${namespace}/${serviceAccount}`
}

/** As the exchange hands a failure to the resident process: one line of JSON on stderr. */
export function formatFailure({ code, failureClass, message, hint }: SidecarError): string {
  return JSON.stringify({ code, class: failureClass, message, hint })
}

/** Reads the last line that {@link formatFailure} wrote; undefined where it did not write it. */
export function parseFailure(text: string): SidecarError | undefined {
  const line = text.trimEnd().split('\n').at(-1) ?? ''
  const fields = jsonObject(line)
  if (fields === undefined) return undefined
  const { code, class: named, message, hint } = fields
  const failureClass = FAILURE_CLASSES.find((one) => one === named)
  if (failureClass === undefined || typeof code !== 'string' || typeof message !== 'string') {
    return undefined
  }
  return new SidecarError(failureClass, code, message, typeof hint === 'string' ? hint : undefined)
}
