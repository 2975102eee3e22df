import { createPublicKey } from 'node:crypto'
import type { CertificateDocument } from '../../contract/certificate-document.ts'
import type { IssuedCertificate } from '../../contract/certificates.ts'
import { fillInPod, isDnsName } from '../../contract/dns-names.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { jsonObject } from '../../shared/base/json.ts'
import { certificateRequest, newKey } from '../../shared/x509/csr.ts'
import type { AuthorityResponse, CertificateCall } from './authority-client.ts'
import {
  responseOf,
  certificateTask,
  failure,
  refusal,
  requireHttps,
  type Task,
} from './failures.ts'
import { readAuthorityToken } from './token.ts'
import { readTrustBundle, type TrustSource } from './trust.ts'
import { verifyIssue } from './verify.ts'

export interface RequestDeps {
  /** @throws NoResponseError */
  readonly sendCertificateRequest: (options: CertificateCall) => Promise<AuthorityResponse>
  /** Milliseconds since the epoch by the node's clock. */
  readonly now: () => number
}

/**
 * Creates a key and exchanges the projected token for its certificate, once.
 *
 * @param source of the CAs that verify the authority
 * @throws SidecarError whose message names namespace and ServiceAccount
 */
export async function requestCertificate(
  config: CertificateConfig,
  source: TrustSource,
  { sendCertificateRequest, now }: RequestDeps,
): Promise<CertificateDocument> {
  const { authorityUrl, durationSeconds } = config
  const task = certificateTask(config)
  requireHttps(task)
  const jwt = await readAuthorityToken(task)
  const trustBundle = await readTrustBundle(task, source)
  const dnsNames = namesOf(task)
  const key = newKey()
  const publicKeyDer = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const body = { csr: certificateRequest(key, publicKeyDer, dnsNames), durationSeconds }
  const response = await responseOf(
    task,
    sendCertificateRequest({ authorityUrl, trustBundle, jwt, body }),
  )
  const issued = issuedIn(response)
  if (issued === undefined) throw refusal(task, response)
  const verified = verifyIssue({ ...config, dnsNames }, { key, ...issued }, now())
  if (typeof verified === 'string') {
    throw failure(task, 'transient', 'CertificateMismatch', verified)
  }
  return {
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificate: verified.certificate,
    trustBundle: verified.trustBundle,
    notBefore: new Date(verified.notBeforeMs).toISOString(),
    notAfter: new Date(verified.notAfterMs).toISOString(),
  }
}

/** Fills in the pod's name, which may not have been generated at admission. @throws SidecarError */
function namesOf(task: Task): string[] {
  const { dnsNames = [], pod } = task.config
  const filled = dnsNames.map((name) => fillInPod(name, pod))
  const wrong = filled.find((name) => !isDnsName(name))
  if (wrong === undefined) return filled
  const text = `the name ${wrong}, which contains the name of the pod, is not a host name`
  throw failure(task, 'refused', 'NameMalformed', text)
}

/** The issued certificate; undefined if the response has none. */
function issuedIn({ status, body }: AuthorityResponse): IssuedCertificate | undefined {
  if (status !== 200) return undefined
  const { certificate, trustBundle } = jsonObject(body) ?? {}
  if (typeof certificate !== 'string' || typeof trustBundle !== 'string') return undefined
  return { certificate, trustBundle }
}
