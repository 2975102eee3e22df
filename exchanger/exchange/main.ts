import { formatCredentialDocument } from '../../contract/credentials.ts'
import { ExchangerEnvError, fromEnv } from '../../contract/exchanger-env.ts'
import { messageOf } from '../../platform/errors.ts'
import { realClock } from '../../platform/clock.ts'
import { ExchangeError, formatFailure } from '../failure.ts'
import { exchange } from './exchange.ts'
import { assumeRole } from './sts.ts'
import { readToken } from './token.ts'

/**
 * `exchanger exchange`: one exchange, then the end. The document on stdout makes it a
 * `credential_process` of its own; a failure is one line of JSON on stderr, exit code 1.
 */
try {
  const config = fromEnv(process.env)
  // What the node's or a user's AWS files say is not for this exchange.
  process.env['AWS_CONFIG_FILE'] = '/dev/null'
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  const document = await exchange(config, { readToken, assumeRole, now: () => realClock.now() })
  process.stdout.write(formatCredentialDocument(document))
} catch (error) {
  const badEnv = error instanceof ExchangerEnvError
  const failure =
    error instanceof ExchangeError
      ? error
      : new ExchangeError('refused', badEnv ? error.code : 'InternalError', messageOf(error))
  process.stderr.write(`${formatFailure(failure)}\n`)
  process.exitCode = badEnv ? 2 : 1
}
