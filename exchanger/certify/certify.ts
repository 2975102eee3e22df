import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import {
  AUTHORITY_VOLUME,
  CERTIFICATE_LIMITS,
  type IssuedCertificate,
} from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { codeOf } from '../../platform/errors.ts'
import { jsonObject } from '../../platform/json.ts'
import { readIfPresent } from '../../platform/files.ts'
import type { CertificateDocument } from '../certificate-document.ts'
import { certificateFor, ExchangeError, type FailureClass } from '../failure.ts'
import { shown } from '../shown.ts'
import { readTokenFile } from '../token-file.ts'
import { NoAnswerError, type Answer, type AskOptions } from './ask.ts'
import { certificateRequest, newKey } from './csr.ts'
import { faultOf } from './faults.ts'
import { hintFor } from './hints.ts'
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
 * @throws ExchangeError whose message names namespace and ServiceAccount
 */
export async function certify(
  config: CertificateConfig,
  { ask, now }: CertifyDeps,
): Promise<CertificateDocument> {
  const { authorityUrl, authorityFolder, durationSeconds, dnsNames = [] } = config
  if (!authorityUrl.startsWith('https:')) {
    throw failure(config, 'refused', 'AuthorityNotHttps', `${authorityUrl} is not https`)
  }
  const tokenFile = join(authorityFolder, AUTHORITY_VOLUME.files.token)
  const jwt = await readTokenFile(tokenFile, certificateFor(config))
  const trustBundle = await readTrustBundle(config)
  const key = newKey()
  const publicKeyDer = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const body = { csr: certificateRequest(key, publicKeyDer, dnsNames), durationSeconds }
  let answer: Answer
  try {
    answer = await ask({ authorityUrl, trustBundle, jwt, body })
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error
    throw failure(config, 'transient', error.code, `${authorityUrl}: ${shown(error.message)}`)
  }
  const issued = issuedIn(answer)
  if (issued === undefined) throw refusal(config, answer)
  const verified = verifyIssue(config, { key, ...issued }, now())
  if (typeof verified === 'string') {
    throw failure(config, 'transient', 'CertificateMismatch', verified)
  }
  return {
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificate: verified.certificate,
    trustBundle: verified.trustBundle,
    notBefore: new Date(verified.notBeforeMs).toISOString(),
    notAfter: new Date(verified.notAfterMs).toISOString(),
  }
}

async function readTrustBundle(config: CertificateConfig): Promise<string> {
  const file = join(config.authorityFolder, AUTHORITY_VOLUME.files.trustBundle)
  let text: string | undefined
  try {
    text = await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)
  } catch (error) {
    const what = codeOf(error) ?? 'it is too large'
    throw failure(config, 'transient', 'TrustBundleMalformed', `${file} cannot be read: ${what}`)
  }
  if (text === undefined) {
    throw failure(config, 'transient', 'TrustBundleMissing', `${file} does not exist`)
  }
  // Node would take an empty one for "the usual CAs".
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw failure(config, 'transient', 'TrustBundleMalformed', `${file} holds no certificate`)
  }
  return text
}

/** Undefined for everything but the certificate that a good answer holds. */
function issuedIn({ status, body }: Answer): IssuedCertificate | undefined {
  if (status !== 200) return undefined
  const fields = jsonObject(body)
  if (fields === undefined) return undefined
  const { certificate, trustBundle } = fields
  if (typeof certificate !== 'string' || typeof trustBundle !== 'string') return undefined
  return { certificate, trustBundle }
}

function refusal(config: CertificateConfig, answer: Answer): ExchangeError {
  const { code, failureClass, message } = faultOf(answer)
  const text = shown(message)
  if (failureClass !== 'refused') return failure(config, failureClass, code, text)
  const refused = `the authority refused a ${certificateFor(config)}: ${text}`
  return new ExchangeError(failureClass, code, refused, hintFor(code, config))
}

function failure(
  config: CertificateConfig,
  failureClass: FailureClass,
  code: string,
  text: string,
): ExchangeError {
  const message = `no ${certificateFor(config)}: ${text}`
  return new ExchangeError(failureClass, code, message, hintFor(code, config))
}
