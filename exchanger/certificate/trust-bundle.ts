import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { jsonObject } from '../../shared/base/json.ts'
import type { Answer, Whom } from './authority-client.ts'
import { answerOf, failure, refusal, requireHttps, trustBundleErrand } from './failures.ts'
import { readTrustBundle } from './trust.ts'
import { verifyTrustBundle } from './verify.ts'

export interface TrustBundleDeps {
  /** @throws NoAnswerError */
  readonly askForTrustBundle: (whom: Whom) => Promise<Answer>
}

/**
 * The trust bundle as the authority has it now, over a connection that is proved by the published one.
 *
 * @returns PEM, written from what was read
 * @throws SidecarError
 */
export async function fetchTrustBundle(
  config: CertificateConfig,
  { askForTrustBundle }: TrustBundleDeps,
): Promise<string> {
  const { authorityUrl } = config
  const errand = trustBundleErrand(config)
  requireHttps(errand)
  const trustBundle = await readTrustBundle(errand, 'published')
  const answer = await answerOf(errand, askForTrustBundle({ authorityUrl, trustBundle }))
  const given = answer.status === 200 ? jsonObject(answer.body)?.['trustBundle'] : undefined
  if (typeof given !== 'string') throw refusal(errand, answer)
  const verified = verifyTrustBundle(given)
  if (verified !== undefined) return verified
  const text = 'the trust bundle of the authority cannot be read'
  throw failure(errand, 'transient', 'TrustBundleMalformed', text)
}
