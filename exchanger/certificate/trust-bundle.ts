import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { jsonObject } from '../../shared/base/json.ts'
import type { AuthorityResponse, AuthorityEndpoint } from './authority-client.ts'
import { responseOf, failure, refusal, requireHttps, trustBundleTask } from './failures.ts'
import { readTrustBundle } from './trust.ts'
import { verifyTrustBundle } from './verify.ts'

export interface TrustBundleDeps {
  /** @throws NoResponseError */
  readonly sendTrustBundleRequest: (endpoint: AuthorityEndpoint) => Promise<AuthorityResponse>
}

/**
 * Fetches the authority's current trust bundle, over a connection that is verified by the published one.
 *
 * @returns PEM, encoded again from the parsed certificates
 * @throws SidecarError
 */
export async function fetchTrustBundle(
  config: CertificateConfig,
  { sendTrustBundleRequest }: TrustBundleDeps,
): Promise<string> {
  const { authorityUrl } = config
  const task = trustBundleTask(config)
  requireHttps(task)
  const trustBundle = await readTrustBundle(task, 'published')
  const response = await responseOf(task, sendTrustBundleRequest({ authorityUrl, trustBundle }))
  const received = response.status === 200 ? jsonObject(response.body)?.['trustBundle'] : undefined
  if (typeof received !== 'string') throw refusal(task, response)
  const verified = verifyTrustBundle(received)
  if (verified !== undefined) return verified
  const text = 'the trust bundle of the authority is malformed'
  throw failure(task, 'transient', 'TrustBundleMalformed', text)
}
