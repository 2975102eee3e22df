import { fileURLToPath } from 'node:url'
import { ExchangerEnvError } from '../contract/env-table.ts'
import { sidecarFromEnv, type SidecarConfig } from '../contract/exchanger-env.ts'
import { ENDPOINT } from '../contract/names.ts'
import type { Clock } from '../shared/base/clock.ts'
import { jsonLogger, type Logger } from '../shared/base/log.ts'
import { hasGateOpened } from './gate-mark.ts'
import { childEnv, type ChildCommand } from './sidecar/child.ts'
import { runSidecar } from './sidecar/run.ts'
import { untilStopped, writeTerminationMessage } from './sidecar/termination.ts'
import { missing, waitUntilReady } from './wait.ts'

const USAGE = `nocreds exchanger: exchanges the pod's projected tokens for AWS credentials and a certificate

usage: exchanger COMMAND

  run           the sidecar: keeps credentials, certificate or both fresh until it is stopped
  wait          exits once they are available; exit code 1 if the sidecar gives up, or after 45 s
  ready         checks once whether they are available; exit code 1 if not
  exchange      runs one exchange and prints the credential document, as a credential_process does
  certificate   requests one certificate and prints key, certificate and trust bundle as JSON
  trust-bundle  fetches the trust bundle of the authority, verified by the published one, and prints it as JSON
  --help        prints this text

All settings are NOCREDS_ variables, which the webhook sets.
`

/** The process, and the location of the other programs. */
export interface Host {
  readonly system: Pick<NodeJS.Process, 'argv' | 'env' | 'execPath' | 'stdout' | 'stderr' | 'on'>
  readonly clock: Clock
  readonly random: () => number
  /** Separate bundles, so that SDK, TLS and cryptography are loaded only by the programs that use them. */
  readonly exchange: URL
  readonly certificate: URL
  /**
   * The file in which the sidecar says why it gives up, and which the gate reads. It is a constant of the program, not
   * from the environment: otherwise a pod's author could make the gate print another file, such as a token.
   */
  readonly terminationMessageFile: string
}

type Command = (host: Host) => number | Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = {
  run,
  wait,
  ready,
  exchange: ({ exchange }) => handOver(exchange),
  certificate: ({ certificate }) => handOver(certificate),
  'trust-bundle': ({ certificate }) => handOver(certificate),
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
  const received = JSON.stringify([name, ...more].join(' '))
  const allowed = Object.keys(COMMANDS).join(', ')
  stderr.write(`unknown command ${received}; allowed: ${allowed}\n\n${USAGE}`)
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
    await writeTerminationMessage(terminationMessageFile, config).catch(() => undefined) // it is on stderr, too
    await untilStopped(clock, stop.signal)
    return 2
  }
  return runSidecar(config, {
    clock,
    random: host.random,
    // The global one: importing node:crypto would cost 0.8 MiB.
    randomBytes: (size) => crypto.getRandomValues(Buffer.alloc(size)),
    log: loggerOf(config, host),
    exchange: childCommand(host.exchange, host),
    certificate: childCommand(host.certificate, host),
    endpointPort: ENDPOINT.port,
    terminationMessageFile,
    releaseMemory,
    signal: stop.signal,
  })
}

/** Loaded when first needed: after the first credentials are published. */
function releaseMemory(): void {
  void import('./sidecar/memory.ts').then((memory) => {
    memory.releaseMemory()
  })
}

function childCommand(program: URL, { system }: Host): ChildCommand {
  return {
    program: system.execPath,
    args: [fileURLToPath(program)],
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
  if (wanted === undefined || (await hasGateOpened(config))) return 0
  host.system.stderr.write(`no ${wanted} yet\n`)
  return 1
}

/** Runs another program in this process; never returns, because that program exits. */
async function handOver(program: URL): Promise<number> {
  await import(program.href)
  return 1
}

/** Reads the environment; if it is invalid, prints the error on stderr and returns it. */
function readConfig({ system }: Host): SidecarConfig | ExchangerEnvError {
  try {
    return sidecarFromEnv(system.env)
  } catch (error) {
    if (!(error instanceof ExchangerEnvError)) throw error
    system.stderr.write(`${error.message}\n`)
    return error
  }
}
