import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ExchangerEnvError } from '../contract/env-table.ts'
import { sidecarFromEnv, type SidecarConfig } from '../contract/exchanger-env.ts'
import { ENDPOINT } from '../contract/names.ts'
import { realClock } from '../platform/clock.ts'
import { jsonLogger, type Logger } from '../platform/log.ts'
import { exchangeEnv, type ChildCommand } from './resident/child.ts'
import { runResident } from './resident/run.ts'
import { terminationMessage, untilStopped } from './resident/termination.ts'
import { waitUntilReady } from './wait.ts'

const USAGE = `nocreds exchanger: trades the pod's projected tokens for AWS credentials and a certificate

usage: exchanger COMMAND

  run          the sidecar: keeps credentials, certificate or both fresh until it is told to stop
  wait         ends once they are there; exit code 1 where the sidecar gives up, or after 45 s
  exchange     one exchange: prints the credential document, as a credential_process does
  certificate  one certificate: prints its key, the certificate and the trust bundle as JSON
  --help       this text

All settings are NOCREDS_ variables, which the webhook writes.
`

/** They stand beside this bundle, so that SDK, TLS and cryptography are loaded only where they are used. */
const EXCHANGE = new URL('exchange.mjs', import.meta.url)
const CERTIFY = new URL('certificate.mjs', import.meta.url)

const COMMANDS: Readonly<Record<string, () => number | Promise<number>>> = {
  run,
  wait,
  exchange: () => instead(EXCHANGE),
  certificate: () => instead(CERTIFY),
  '--help': () => {
    process.stdout.write(USAGE)
    return 0
  },
}

async function run(): Promise<number> {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      stop.abort()
    })
  }
  const config = readConfig((error) => {
    const file = process.env['NOCREDS_TERMINATION_MESSAGE_FILE']
    if (file !== undefined) leaveMessage(file, terminationMessage(error))
  })
  if (config === undefined) {
    await untilStopped(realClock, stop.signal)
    return 2
  }
  return runResident(config, {
    clock: realClock,
    random: () => Math.random(),
    // Of the global: importing node:crypto costs a process that never needs it 0.8 MiB.
    randomBytes: (size) => crypto.getRandomValues(Buffer.alloc(size)),
    log: loggerOf(config),
    exchange: childCommand(EXCHANGE),
    certify: childCommand(CERTIFY),
    endpointPort: ENDPOINT.port,
    releaseMemory,
    signal: stop.signal,
  })
}

/** Loaded once it is wanted: after the first credentials are out. */
function releaseMemory(): void {
  void import('./resident/memory.ts').then((memory) => {
    memory.releaseMemory()
  })
}

function childCommand(program: URL): ChildCommand {
  return {
    program: process.execPath,
    words: [fileURLToPath(program)],
    env: exchangeEnv(process.env),
  }
}

function loggerOf({ credentials, certificate }: SidecarConfig): (role?: string) => Logger {
  const { namespace, serviceAccount } = credentials ?? certificate ?? {}
  return (role) =>
    jsonLogger(
      (line) => process.stdout.write(line),
      () => realClock.now(),
      { base: { role, namespace, serviceAccount } },
    )
}

function leaveMessage(file: string, message: string): void {
  try {
    writeFileSync(file, message)
  } catch {
    // stderr has it, too
  }
}

async function wait(): Promise<number> {
  const config = readConfig()
  if (config === undefined) return 2
  const failed = await waitUntilReady(config, realClock)
  if (failed === undefined) return 0
  process.stderr.write(`no ${failed.wanted}: ${failed.reason}\n`)
  return 1
}

/** Never comes back: that program ends the process. */
async function instead(program: URL): Promise<number> {
  await import(program.href)
  return 1
}

/** Undefined, with the message on stderr, where the environment is bad. */
function readConfig(
  onBad: (error: ExchangerEnvError) => void = () => undefined,
): SidecarConfig | undefined {
  try {
    return sidecarFromEnv(process.env)
  } catch (error) {
    if (!(error instanceof ExchangerEnvError)) throw error
    process.stderr.write(`${error.message}\n`)
    onBad(error)
    return undefined
  }
}

const [name = '', ...more] = process.argv.slice(2)
const command = more.length === 0 && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command === undefined) {
  const given = JSON.stringify([name, ...more].join(' '))
  process.stderr.write(
    `unknown command ${given}; allowed: ${Object.keys(COMMANDS).join(', ')}\n\n${USAGE}`,
  )
}
process.exit(command === undefined ? 2 : await command())
