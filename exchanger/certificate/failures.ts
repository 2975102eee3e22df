import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { certificateFor, SidecarError, trustBundleFor, type FailureClass } from '../failure.ts'
import { shown } from '../redact.ts'
import { NoAnswerError, type Answer } from './authority-client.ts'
import { faultOf } from './faults.ts'
import { hintFor } from './hints.ts'

/** What the authority is asked for. */
export interface Errand {
  readonly config: CertificateConfig
  /** As messages say it after "no": `certificate for ServiceAccount team-a/app`. */
  readonly wanted: string
}

export function certificateErrand(config: CertificateConfig): Errand {
  return { config, wanted: certificateFor(config) }
}

export function trustBundleErrand(config: CertificateConfig): Errand {
  return { config, wanted: trustBundleFor(config) }
}

/** What goes wrong, in one form: what there is none of, why, and a hint. */
export function failure(
  { config, wanted }: Errand,
  failureClass: FailureClass,
  code: string,
  text: string,
): SidecarError {
  const message = `no ${wanted}: ${text}`
  return new SidecarError(failureClass, code, message, hintFor(code, config))
}

/** What the authority said instead of what was asked for. */
export function refusal(errand: Errand, answer: Answer): SidecarError {
  const { config, wanted } = errand
  const { code, failureClass, message } = faultOf(answer)
  const text = shown(message)
  if (failureClass !== 'refused') return failure(errand, failureClass, code, text)
  const refused = `the authority refused a ${wanted}: ${text}`
  return new SidecarError(failureClass, code, refused, hintFor(code, config))
}

/** @throws SidecarError */
export function requireHttps(errand: Errand): void {
  const { authorityUrl } = errand.config
  if (authorityUrl.startsWith('https:')) return
  throw failure(errand, 'refused', 'AuthorityNotHttps', `${authorityUrl} is not https`)
}

/** @throws SidecarError where there is no answer */
export async function answerOf(errand: Errand, asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error
    const text = `${errand.config.authorityUrl}: ${shown(error.message)}`
    throw failure(errand, 'transient', error.code, text)
  }
}
