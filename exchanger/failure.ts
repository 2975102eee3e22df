import type { CredentialsConfig } from '../contract/exchanger-env.ts'
import { NocredsError } from '../shared/base/errors.ts'
import { jsonObject } from '../shared/base/json.ts'

/**
 * How a failure is handled:
 * - `token`: a retry needs a new token from the kubelet
 * - `transient`: the same request may succeed soon
 * - `refused`: a person must change something, in IAM, in an annotation or in the namespace
 */
const FAILURE_CLASSES = ['token', 'transient', 'refused'] as const
export type FailureClass = (typeof FAILURE_CLASSES)[number]

/**
 * A failure of the sidecar: neither credentials nor a certificate were obtained. `code` is the one of STS
 * (`AccessDenied`) or the authority (`name-not-permitted`) if they responded, Node's for a network error
 * (`ECONNREFUSED`), otherwise the sidecar's own (`TokenMissing`). Neither message nor hint contains a secret;
 * there is no cause, because errors of the SDK contain the response.
 */
export class SidecarError extends NocredsError {
  readonly failureClass: FailureClass

  constructor(failureClass: FailureClass, code: string, message: string, hint?: string) {
    super(code, message, hint === undefined ? {} : { hint })
    this.failureClass = failureClass
  }
}

/** Whose failure it is. */
export type Workload = Pick<CredentialsConfig, 'namespace' | 'serviceAccount'>

/** The workload and its role; with a target, that one is the role of the app. */
export type Subject = Workload &
  Pick<CredentialsConfig, 'roleArn'> &
  Partial<Pick<CredentialsConfig, 'targetRoleArn'>>

/**
 * `arn:… for ServiceAccount team-a/app`, or `arn:…, assumed from arn:…, for ServiceAccount team-a/app`: part of every
 * message.
 */
export function nameOf({ roleArn, targetRoleArn, namespace, serviceAccount }: Subject): string {
  const role = targetRoleArn === undefined ? roleArn : `${targetRoleArn}, assumed from ${roleArn},`
  return `${role} for ServiceAccount ${namespace}/${serviceAccount}`
}

/** `exchange of arn:… for ServiceAccount team-a/app`: as messages name what failed. */
export function exchangeOf(subject: Subject): string {
  return `exchange of ${nameOf(subject)}`
}

/** The same for certificates: `certificate for ServiceAccount team-a/app`. */
export function certificateFor({ namespace, serviceAccount }: Workload): string {
  return `certificate for ServiceAccount ${namespace}/${serviceAccount}`
}

/** The same for trust bundles: `trust bundle for ServiceAccount team-a/app`. */
export function trustBundleFor({ namespace, serviceAccount }: Workload): string {
  return `trust bundle for ServiceAccount ${namespace}/${serviceAccount}`
}

/** Formats a failure as a child reports it to the sidecar: one line of JSON on stderr. */
export function formatFailure({ code, failureClass, message, hint }: SidecarError): string {
  return JSON.stringify({ code, class: failureClass, message, hint })
}

/** Parses the last line if {@link formatFailure} wrote it; otherwise undefined. */
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
