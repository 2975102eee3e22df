import { fileURLToPath } from 'node:url'
import { ExchangerEnvError } from '../contract/env-table.ts'
import { sidecarFromEnv, type SidecarConfig } from '../contract/exchanger-env.ts'
import { ENDPOINT } from '../contract/names.ts'
import type { Clock } from '../shared/base/clock.ts'
import { jsonLogger, type Logger } from '../shared/base/log.ts'
import { childEnv, type ChildCommand } from './sidecar/child.ts'
import { runSidecar } from './sidecar/run.ts'
import { untilStopped, writeTerminationMessage } from './sidecar/termination.ts'
import { missing, waitUntilReady } from './wait.ts'

const USAGE = `nocreds exchanger: trades the pod's projected tokens for AWS credentials and a certificate

usage: exchanger COMMAND

  run           the sidecar: keeps credentials, certificate or both fresh until it is told to stop
  wait          ends once they are there; exit code 1 where the sidecar gives up, or after 45 s
  ready         looks once whether they are there; exit code 1 where they are not
  exchange      one exchange: prints the credential document, as a credential_process does
  certificate   one certificate: prints its key, the certificate and the trust bundle as JSON
  trust-bundle  prints the trust bundle that the authority gives, as JSON; it is known by the published one
  --help        this text

All settings are NOCREDS_ variables, which the webhook writes.
`

/** The system that the program is, and where its parts are. */
export interface Host {
  readonly system: Pick<NodeJS.Process, 'argv' | 'env' | 'execPath' | 'stdout' | 'stderr' | 'on'>
  readonly clock: Clock
  readonly random: () => number
  /** They stand beside the bundle, so that SDK, TLS and cryptography are loaded only where they are used. */
  readonly exchange: URL
  readonly certify: URL
  /**
   * Where the sidecar leaves its reason and the gate looks for it. A constant of the program, and none of the
   * environment: else a pod's author could have the gate print another file, such as a token.
   */
  readonly terminationMessageFile: string
}

type Command = (host: Host) => number | Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = {
  run,
  wait,
  ready,
  exchange: ({ exchange }) => instead(exchange),
  certificate: ({ certify }) => instead(certify),
  'trust-bundle': ({ certify }) => instead(certify),
  '--help': ({ system }) => {
    system.stdout.write(USAGE)
    return 0
  },
}

/** Runs the command of the command line. @returns the exit code */
export async function runExchanger(host: Host): Promise<number> {
  const { argv, stderr } = host.system
  const [name = '', ...more] = argv.slice(2)
  const command = more.length === 0 && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command !== undefined) return command(host)
  const given = JSON.stringify([name, ...more].join(' '))
  const allowed = Object.keys(COMMANDS).join(', ')
  stderr.write(`unknown command ${given}; allowed: ${allowed}\n\n${USAGE}`)
  return 2
}

async function run(host: Host): Promise<number> {
  const { system, clock, terminationMessageFile } = host
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    system.on(name, () => {
      stop.abort()
    })
  }
  const config = readConfig(host)
  if (config instanceof ExchangerEnvError) {
    await writeTerminationMessage(terminationMessageFile, config).catch(() => undefined) // stderr has it, too
    await untilStopped(clock, stop.signal)
    return 2
  }
  return runSidecar(config, {
    clock,
    random: host.random,
    // Of the global: importing node:crypto costs a system that never needs it 0.8 MiB.
    randomBytes: (size) => crypto.getRandomValues(Buffer.alloc(size)),
    log: loggerOf(config, host),
    exchange: childCommand(host.exchange, host),
    certify: childCommand(host.certify, host),
    endpointPort: ENDPOINT.port,
    terminationMessageFile,
    releaseMemory,
    signal: stop.signal,
  })
}

/** Loaded once it is wanted: after the first credentials are out. */
function releaseMemory(): void {
  void import('./sidecar/memory.ts').then((memory) => {
    memory.releaseMemory()
  })
}

function childCommand(program: URL, { system }: Host): ChildCommand {
  return {
    program: system.execPath,
    words: [fileURLToPath(program)],
    env: childEnv(system.env),
  }
}

function loggerOf(
  { credentials, certificate }: SidecarConfig,
  { system, clock }: Host,
): (role?: string) => Logger {
  const { namespace, serviceAccount } = credentials ?? certificate ?? {}
  return (role) =>
    jsonLogger(
      (line) => system.stdout.write(line),
      () => clock.now(),
      { base: { role, namespace, serviceAccount } },
    )
}

async function wait(host: Host): Promise<number> {
  const config = readConfig(host)
  if (config instanceof ExchangerEnvError) return 2
  const failed = await waitUntilReady(config, host)
  if (failed === undefined) return 0
  host.system.stderr.write(`no ${failed.wanted}: ${failed.reason}\n`)
  return 1
}

async function ready(host: Host): Promise<number> {
  const config = readConfig(host)
  if (config instanceof ExchangerEnvError) return 2
  const wanted = await missing(config, host.clock)
  if (wanted === undefined) return 0
  host.system.stderr.write(`no ${wanted} yet\n`)
  return 1
}

/** Never comes back: that program ends the system. */
async function instead(program: URL): Promise<number> {
  await import(program.href)
  return 1
}

/** The error, with its message on stderr, where the environment is bad. */
function readConfig({ system }: Host): SidecarConfig | ExchangerEnvError {
  try {
    return sidecarFromEnv(system.env)
  } catch (error) {
    if (!(error instanceof ExchangerEnvError)) throw error
    system.stderr.write(`${error.message}\n`)
    return error
  }
}
