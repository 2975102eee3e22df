import { certificateFromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../platform/clock.ts'
import { formatCertificateDocument } from '../certificate-document.ts'
import { oneShot } from '../one-shot.ts'
import { ask } from './ask.ts'
import { certify } from './certify.ts'

/**
 * `exchanger certificate`: one certificate, then the end. Key, certificate and trust bundle are one line
 * of JSON on stdout.
 */
async function give(): Promise<string> {
  const config = certificateFromEnv(process.env)
  return formatCertificateDocument(await certify(config, { ask, now: () => realClock.now() }))
}

// A connection that lingers does not keep the process alive once everything is said.
process.exit(await oneShot(process, give))
