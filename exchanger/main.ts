import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ExchangerEnvError, fromEnv, type ExchangerConfig } from '../contract/exchanger-env.ts'
import { realClock } from '../platform/clock.ts'
import { messageOf, UsageError } from '../platform/errors.ts'
import { jsonLogger } from '../platform/log.ts'
import { startResident } from './resident/run.ts'
import { terminationMessage } from './resident/termination-message.ts'
import { waitForCredentials } from './wait.ts'

const USAGE = `nocreds exchanger: trades a pod's ServiceAccount token for AWS credentials

Commands:
  run        stay, and keep the credentials fresh (the sidecar)
  wait       return once credentials are there (the sidecar's postStart hook)
  exchange   exchange once and print a credential_process document

Configured by NOCREDS_ variables, which the webhook writes into the pod.
`

/** Of the resident's environment the exchange gets only what it reads and what TLS trusts. */
const PASSED_ON = /^(NOCREDS_\w+|PATH|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR)$/

/** Beside this bundle; a process of its own, so that the SDK is never loaded here. */
const EXCHANGE_BUNDLE = join(import.meta.dirname, 'exchange.mjs')

async function main(command: string | undefined): Promise<number> {
  switch (command) {
    case 'run':
      return run(readConfig())
    case 'wait':
      return wait(readConfig())
    case 'exchange':
      await import(EXCHANGE_BUNDLE)
      return Number(process.exitCode ?? 0)
    case '--help':
      process.stdout.write(USAGE)
      return 0
    default:
      throw new UsageError(
        `command is ${command ?? 'missing'}; allowed: run, wait, exchange, --help`,
      )
  }
}

function readConfig(): ExchangerConfig {
  return fromEnv(process.env)
}

async function run(config: ExchangerConfig): Promise<number> {
  const { roleArn, namespace, serviceAccount, delivery } = config
  const log = jsonLogger(
    (line) => process.stdout.write(line),
    () => realClock.now(),
    { base: { role: roleArn, namespace, serviceAccount } },
  )
  const env = Object.entries(process.env).filter(
    (entry): entry is [string, string] => PASSED_ON.test(entry[0]) && entry[1] !== undefined,
  )
  log.info({ delivery }, 'exchanger starts')
  const resident = await startResident(config, {
    clock: realClock,
    random: Math.random,
    log,
    exchangeCommand: {
      program: process.execPath,
      args: [EXCHANGE_BUNDLE],
      env: Object.fromEntries(env),
    },
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void resident.stop())
  return resident.finished
}

async function wait(config: ExchangerConfig): Promise<number> {
  if (await waitForCredentials(config, realClock)) return 0
  process.stderr.write('no credentials yet; the log of nocreds-exchanger says why\n')
  return 1
}

/** A bad environment must be seen by `kubectl describe pod`, too. */
function leaveUsageMessage(error: ExchangerEnvError): void {
  const file = process.env['NOCREDS_TERMINATION_MESSAGE_FILE']
  if (file === undefined) return
  try {
    writeFileSync(file, terminationMessage(error))
  } catch {
    // stderr has it
  }
}

try {
  process.exit(await main(process.argv[2]))
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof ExchangerEnvError
  if (error instanceof ExchangerEnvError) leaveUsageMessage(error)
  process.stderr.write(`${messageOf(error)}\n${error instanceof UsageError ? `\n${USAGE}` : ''}`)
  process.exit(isUsage ? 2 : 1)
}
