import { certificateFromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../platform/clock.ts'
import { formatCertificateDocument } from '../certificate-document.ts'
import { oneShot } from '../one-shot.ts'
import { ANSWER_MS, ask } from './ask.ts'
import { certify } from './certify.ts'

/**
 * `exchanger certificate`: one certificate, then the end. Key, certificate and trust bundle are one line
 * of JSON on stdout.
 */
async function give(): Promise<string> {
  const config = certificateFromEnv(process.env)
  const document = await certify(config, {
    ask: (options) => ask(options, AbortSignal.timeout(ANSWER_MS)),
    now: () => realClock.now(),
  })
  return formatCertificateDocument(document)
}

// A connection that lingers does not keep the process alive once everything is said.
process.exit(await oneShot(process, give))
