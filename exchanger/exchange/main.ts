import { formatCredentialDocument } from '../../contract/credentials.ts'
import { ExchangerEnvError } from '../../contract/env-table.ts'
import { fromEnv } from '../../contract/exchanger-env.ts'
import { realClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { ExchangeError, formatFailure } from '../failure.ts'
import { exchange } from './exchange.ts'
import { assumeRole } from './sts.ts'
import { readToken } from './token.ts'

/**
 * `exchanger exchange`: one exchange, then the end. The document on stdout makes it a
 * `credential_process` of its own; a failure is one line of JSON on stderr and exit code 1, or 2
 * where the environment is bad.
 */
async function main(): Promise<number> {
  try {
    const config = fromEnv(process.env)
    // AWS files of a user or a node are none of this exchange's business; and the SDK asks for a home,
    // which a user id without an entry in /etc/passwd does not have.
    process.env['HOME'] = '/'
    process.env['AWS_CONFIG_FILE'] = '/dev/null'
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
    const document = await exchange(config, { readToken, assumeRole, now: () => realClock.now() })
    await write(process.stdout, formatCredentialDocument(document))
    return 0
  } catch (error) {
    await write(process.stderr, `${formatFailure(failureOf(error))}\n`)
    return error instanceof ExchangerEnvError ? 2 : 1
  }
}

function failureOf(error: unknown): ExchangeError {
  if (error instanceof ExchangeError) return error
  if (error instanceof ExchangerEnvError) {
    return new ExchangeError('refused', error.code, error.message)
  }
  return new ExchangeError('transient', 'InternalError', messageOf(error))
}

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => {
      resolve()
    })
  })
}

// A connection that lingers does not keep the process alive once everything is said.
process.exit(await main())
