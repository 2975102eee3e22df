import { formatCredentialDocument } from '../../contract/credentials.ts'
import { credentialsFromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../shared/base/clock.ts'
import { oneShot } from '../one-shot.ts'
import { exchange } from './exchange.ts'
import { isolateSdk, sendToSts } from './sts.ts'
import { readToken } from './token.ts'

/**
 * `exchanger exchange`: runs one exchange and exits. It prints the document on stdout, so it can be used as a
 * `credential_process`; a failure is one line of JSON on stderr with exit code 1, or 2 for an invalid
 * environment.
 */
async function produce(): Promise<string> {
  const config = credentialsFromEnv(process.env)
  isolateSdk(process.env)
  const document = await exchange(config, {
    readToken: () => readToken(config),
    send: sendToSts,
    now: () => realClock.now(),
  })
  return formatCredentialDocument(document)
}

// An open connection must not keep the process alive once everything is written.
process.exit(await oneShot(process, produce))
