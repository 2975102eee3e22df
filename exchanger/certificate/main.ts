import { formatCertificateDocument } from '../../contract/certificate-document.ts'
import { certificateFromEnv } from '../../contract/exchanger-env.ts'
import { formatTrustBundle } from '../../contract/trust-bundle-document.ts'
import { realClock } from '../../shared/base/clock.ts'
import { oneShot } from '../one-shot.ts'
import { RESPONSE_MS, sendCertificateRequest, sendTrustBundleRequest } from './authority-client.ts'
import { requestCertificate } from './request.ts'
import { fetchTrustBundle } from './trust-bundle.ts'
import type { TrustSource } from './trust.ts'

/**
 * Sends one request to the authority, prints the result as one line of JSON on stdout, and exits:
 * - `certificate`: key, certificate and trust bundle; the authority is verified by the mounted trust bundle
 * - `renewal`: the same; the authority is verified by the published trust bundle
 * - `trust-bundle`: only the trust bundle; the authority is verified by the published one
 */
const COMMANDS: Readonly<Record<string, () => Promise<string>>> = {
  certificate: () => certificate('mounted'),
  renewal: () => certificate('published'),
  'trust-bundle': trustBundle,
}

async function certificate(source: TrustSource): Promise<string> {
  const document = await requestCertificate(certificateFromEnv(process.env), source, {
    sendCertificateRequest: (options) =>
      sendCertificateRequest(options, AbortSignal.timeout(RESPONSE_MS)),
    now: () => realClock.now(),
  })
  return formatCertificateDocument(document)
}

async function trustBundle(): Promise<string> {
  const pem = await fetchTrustBundle(certificateFromEnv(process.env), {
    sendTrustBundleRequest: (endpoint) =>
      sendTrustBundleRequest(endpoint, AbortSignal.timeout(RESPONSE_MS)),
  })
  return formatTrustBundle(pem)
}

const [name = ''] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command === undefined) {
  const allowed = Object.keys(COMMANDS).join(', ')
  process.stderr.write(`unknown command ${JSON.stringify(name)}; allowed: ${allowed}\n`)
}
// An open connection must not keep the process alive once everything is written.
process.exit(command === undefined ? 2 : await oneShot(process, command))
