import { formatCredentialDocument } from '../../contract/credentials.ts'
import { credentialsFromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../shared/base/clock.ts'
import { oneShot } from '../one-shot.ts'
import { exchange } from './exchange.ts'
import { assumeRole } from './sts.ts'
import { readToken } from './token.ts'

/**
 * `exchanger exchange`: runs one exchange and exits. It prints the document on stdout, so it can be used as a
 * `credential_process`; a failure is one line of JSON on stderr with exit code 1, or 2 for an invalid
 * environment.
 */
async function produce(): Promise<string> {
  const config = credentialsFromEnv(process.env)
  // AWS files of a user or a node must not be read; and the SDK needs a home folder, which a user id without
  // an entry in /etc/passwd does not have.
  process.env['HOME'] = '/'
  process.env['AWS_CONFIG_FILE'] = '/dev/null'
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  const document = await exchange(config, { readToken, assumeRole, now: () => realClock.now() })
  return formatCredentialDocument(document)
}

// An open connection must not keep the process alive once everything is written.
process.exit(await oneShot(process, produce))
