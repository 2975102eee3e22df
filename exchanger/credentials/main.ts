import { formatCredentialDocument } from '../../contract/credentials.ts'
import { credentialsFromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../shared/base/clock.ts'
import { oneShot } from '../one-shot.ts'
import { exchange } from './exchange.ts'
import { assumeRole } from './sts.ts'
import { readToken } from './token.ts'

/**
 * `exchanger exchange`: one exchange, then the end. The document on stdout makes it a
 * `credential_process` of its own; a failure is one line of JSON on stderr and exit code 1, or 2
 * where the environment is bad.
 */
async function give(): Promise<string> {
  const config = credentialsFromEnv(process.env)
  // AWS files of a user or a node are none of this exchange's business; and the SDK asks for a home,
  // which a user id without an entry in /etc/passwd does not have.
  process.env['HOME'] = '/'
  process.env['AWS_CONFIG_FILE'] = '/dev/null'
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  const document = await exchange(config, { readToken, assumeRole, now: () => realClock.now() })
  return formatCredentialDocument(document)
}

// A connection that lingers does not keep the process alive once everything is said.
process.exit(await oneShot(process, give))
