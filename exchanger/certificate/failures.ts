import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { certificateFor, SidecarError, trustBundleFor, type FailureClass } from '../failure.ts'
import { redact } from '../redact.ts'
import { NoResponseError, type AuthorityResponse } from './authority-client.ts'
import { faultOf } from './faults.ts'
import { hintFor } from './hints.ts'

/** A request to the authority. */
export interface Task {
  readonly config: CertificateConfig
  /** What is requested, as messages have it after "no": `certificate for ServiceAccount team-a/app`. */
  readonly wanted: string
}

export function certificateTask(config: CertificateConfig): Task {
  return { config, wanted: certificateFor(config) }
}

export function trustBundleTask(config: CertificateConfig): Task {
  return { config, wanted: trustBundleFor(config) }
}

/** A failure, with a message in the common form: what is missing, why, and a hint. */
export function failure(
  { config, wanted }: Task,
  failureClass: FailureClass,
  code: string,
  text: string,
): SidecarError {
  const message = `no ${wanted}: ${text}`
  return new SidecarError(failureClass, code, message, hintFor(code, config))
}

/** The failure in an error response of the authority. */
export function refusal(task: Task, response: AuthorityResponse): SidecarError {
  const { config, wanted } = task
  const { code, failureClass, message } = faultOf(response)
  const text = redact(message)
  if (failureClass !== 'refused') return failure(task, failureClass, code, text)
  const refused = `the authority refused a ${wanted}: ${text}`
  return new SidecarError(failureClass, code, refused, hintFor(code, config))
}

/** @throws SidecarError */
export function requireHttps(task: Task): void {
  const { authorityUrl } = task.config
  if (authorityUrl.startsWith('https:')) return
  throw failure(task, 'refused', 'AuthorityNotHttps', `${authorityUrl} is not https`)
}

/** @throws SidecarError if there is no response */
export async function responseOf(
  task: Task,
  response: Promise<AuthorityResponse>,
): Promise<AuthorityResponse> {
  try {
    return await response
  } catch (error) {
    if (!(error instanceof NoResponseError)) throw error
    const text = `${task.config.authorityUrl}: ${redact(error.message)}`
    throw failure(task, 'transient', error.code, text)
  }
}
