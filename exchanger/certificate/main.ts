import { formatCertificateDocument } from '../../contract/certificate-document.ts'
import { certificateFromEnv } from '../../contract/exchanger-env.ts'
import { formatTrustBundle } from '../../contract/trust-bundle-document.ts'
import { realClock } from '../../shared/base/clock.ts'
import { oneShot } from '../one-shot.ts'
import { ANSWER_MS, ask, askForTrustBundle } from './authority-client.ts'
import { certify } from './request.ts'
import { fetchTrustBundle } from './trust-bundle.ts'
import type { TrustSource } from './trust.ts'

/**
 * Asks the authority for one thing, and ends; it is one line of JSON on stdout:
 * - `certificate`: key, certificate and trust bundle; the authority is known by the mounted trust bundle
 * - `renewal`: the same; the authority is known by the published trust bundle
 * - `trust-bundle`: the trust bundle alone; the authority is known by the published one
 */
const COMMANDS: Readonly<Record<string, () => Promise<string>>> = {
  certificate: () => certificate('mounted'),
  renewal: () => certificate('published'),
  'trust-bundle': trustBundle,
}

async function certificate(source: TrustSource): Promise<string> {
  const document = await certify(certificateFromEnv(process.env), source, {
    ask: (options) => ask(options, AbortSignal.timeout(ANSWER_MS)),
    now: () => realClock.now(),
  })
  return formatCertificateDocument(document)
}

async function trustBundle(): Promise<string> {
  const pem = await fetchTrustBundle(certificateFromEnv(process.env), {
    askForTrustBundle: (whom) => askForTrustBundle(whom, AbortSignal.timeout(ANSWER_MS)),
  })
  return formatTrustBundle(pem)
}

const [name = ''] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command === undefined) {
  const allowed = Object.keys(COMMANDS).join(', ')
  process.stderr.write(`unknown command ${JSON.stringify(name)}; allowed: ${allowed}\n`)
}
// A connection that lingers does not keep the process alive once everything is said.
process.exit(command === undefined ? 2 : await oneShot(process, command))
