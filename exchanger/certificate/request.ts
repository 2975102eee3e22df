import { createPublicKey } from 'node:crypto'
import type { CertificateDocument } from '../../contract/certificate-document.ts'
import type { IssuedCertificate } from '../../contract/certificates.ts'
import { fillInPod, isDnsName } from '../../contract/dns-names.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { jsonObject } from '../../shared/base/json.ts'
import { certificateRequest, newKey } from '../../shared/x509/csr.ts'
import type { Answer, AskOptions } from './authority-client.ts'
import {
  answerOf,
  certificateErrand,
  failure,
  refusal,
  requireHttps,
  type Errand,
} from './failures.ts'
import { readAuthorityToken } from './token.ts'
import { readTrustBundle, type TrustSource } from './trust.ts'
import { verifyIssue } from './verify.ts'

export interface CertifyDeps {
  /** @throws NoAnswerError */
  readonly ask: (options: AskOptions) => Promise<Answer>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
}

/**
 * Makes a key and trades the projected token for its certificate, once.
 *
 * @param source of the CAs by which the authority proves itself
 * @throws SidecarError whose message names namespace and ServiceAccount
 */
export async function certify(
  config: CertificateConfig,
  source: TrustSource,
  { ask, now }: CertifyDeps,
): Promise<CertificateDocument> {
  const { authorityUrl, durationSeconds } = config
  const errand = certificateErrand(config)
  requireHttps(errand)
  const jwt = await readAuthorityToken(errand)
  const trustBundle = await readTrustBundle(errand, source)
  const dnsNames = namesOf(errand)
  const key = newKey()
  const publicKeyDer = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const body = { csr: certificateRequest(key, publicKeyDer, dnsNames), durationSeconds }
  const answer = await answerOf(errand, ask({ authorityUrl, trustBundle, jwt, body }))
  const issued = issuedIn(answer)
  if (issued === undefined) throw refusal(errand, answer)
  const verified = verifyIssue({ ...config, dnsNames }, { key, ...issued }, now())
  if (typeof verified === 'string') {
    throw failure(errand, 'transient', 'CertificateMismatch', verified)
  }
  return {
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificate: verified.certificate,
    trustBundle: verified.trustBundle,
    notBefore: new Date(verified.notBeforeMs).toISOString(),
    notAfter: new Date(verified.notAfterMs).toISOString(),
  }
}

/** With the pod's own name, which at admission was still to be generated. @throws SidecarError */
function namesOf(errand: Errand): string[] {
  const { dnsNames = [], pod } = errand.config
  const filled = dnsNames.map((name) => fillInPod(name, pod))
  const wrong = filled.find((name) => !isDnsName(name))
  if (wrong === undefined) return filled
  const text = `the name ${wrong}, with the name of the pod in it, is not a host name`
  throw failure(errand, 'refused', 'NameMalformed', text)
}

/** Undefined for everything but the certificate that a good answer holds. */
function issuedIn({ status, body }: Answer): IssuedCertificate | undefined {
  if (status !== 200) return undefined
  const { certificate, trustBundle } = jsonObject(body) ?? {}
  if (typeof certificate !== 'string' || typeof trustBundle !== 'string') return undefined
  return { certificate, trustBundle }
}
