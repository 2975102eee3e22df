import { stat } from 'node:fs/promises'
import type { CredentialDocument } from '../../contract/credentials.ts'
import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import type { Clock, Random } from '../../platform/clock.ts'
import { codeOf, messageOf, NocredsError } from '../../platform/errors.ts'
import { ensureFolder } from '../../platform/files.ts'
import type { Logger } from '../../platform/log.ts'
import { ExchangeError, nameOf } from '../failure.ts'
import { ensureAuthorization } from '../publish/authorization.ts'
import { writeConfigFile } from '../publish/config-file.ts'
import type { Endpoint } from '../publish/endpoint.ts'
import { openStore, type CredentialStore } from '../publish/store.ts'
import { runExchange, type ExchangeCommand } from './child.ts'
import { Refresher } from './refresher.ts'
import { untilStopped, writeTerminationMessage } from './termination.ts'

/** By then what came of an exchange is published, and nothing waits for the few milliseconds. */
const RELEASE_AFTER_MS = 100

export interface ResidentDeps {
  readonly clock: Clock
  readonly random: Random
  readonly randomBytes: (size: number) => Buffer
  /** Its lines carry role, namespace and ServiceAccount. */
  readonly log: Logger
  readonly command: ExchangeCommand
  readonly endpointPort: number
  /** Hands memory that is not needed any more back to the system; takes some milliseconds. */
  readonly releaseMemory: () => void
  /** Ends the resident process. */
  readonly signal: AbortSignal
}

class ResidentError extends NocredsError<'ERR_RESIDENT_START'> {}

/**
 * The sidecar's life. It resolves once the signal comes, with the exit code: 0, or 1 where it could not
 * start or no first credentials could be had; the termination message then says why.
 */
export async function runResident(config: ExchangerConfig, deps: ResidentDeps): Promise<number> {
  const { log } = deps
  log.info({ pod: config.pod, delivery: config.delivery }, 'exchanger started')
  let endpoint: Endpoint | undefined
  try {
    await ensureFolder(config.credentialsFolder)
    const store = await openStore(config.credentialsFolder, deps.clock.now())
    endpoint = await deliver(config, deps, store)
    const reason = await keepFresh(config, deps, store)
    return reason === undefined ? 0 : await giveUp(config, deps, reason)
  } catch (error) {
    const reason = startErrorOf(error, config)
    const { code, message, hint } = reason
    log.error({ code, reason: message, hint }, 'exchanger cannot start')
    return await giveUp(config, deps, reason)
  } finally {
    endpoint?.close()
  }
}

/** Everything that an app needs but the credentials themselves. */
async function deliver(
  { delivery, credentialsFolder }: ExchangerConfig,
  { clock, randomBytes, log, endpointPort }: ResidentDeps,
  store: CredentialStore,
): Promise<Endpoint | undefined> {
  if (delivery === 'process') {
    await writeConfigFile(credentialsFolder)
    return undefined
  }
  // HTTP and cryptography stay unloaded where files do.
  const { startEndpoint } = await import('../publish/endpoint.ts')
  const authorization = await ensureAuthorization(credentialsFolder, randomBytes)
  const endpoint = await startEndpoint({
    port: endpointPort,
    authorization,
    current: () => store.current(),
    now: () => clock.now(),
  })
  log.info({ port: endpoint.port }, 'endpoint listens')
  return endpoint
}

/** Resolves when it ends, with the reason where there were no credentials up to then. */
function keepFresh(
  config: ExchangerConfig,
  { clock, random, log, command, releaseMemory, signal }: ResidentDeps,
  store: CredentialStore,
): Promise<NocredsError | undefined> {
  const exchange = (abort: AbortSignal): Promise<CredentialDocument> =>
    runExchange(command, config, abort).finally(() => clock.after(RELEASE_AFTER_MS, releaseMemory))
  return new Promise((resolve) => {
    const refresher = new Refresher({
      subject: config,
      clock,
      random,
      store,
      log,
      exchange,
      tokenVersion: () => tokenVersion(config.tokenFile),
      onGiveUp: resolve,
    })
    const stop = (): void => {
      refresher.stop()
      resolve(refresher.isGateShut ? (refresher.lastFailure ?? stoppedEarly(config)) : undefined)
    }
    if (signal.aborted) stop()
    else refresher.start()
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** The kubelet's atomic writer leads the path to a new file each time. */
async function tokenVersion(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeMs } = await stat(path)
    return `${dev}:${ino}:${size}:${mtimeMs}`
  } catch {
    return undefined
  }
}

function stoppedEarly(config: ExchangerConfig): ExchangeError {
  const message = `no exchange of ${nameOf(config)}: stopped before the first one ended`
  return new ExchangeError('transient', 'Stopped', message)
}

function startErrorOf(error: unknown, config: ExchangerConfig): NocredsError {
  if (error instanceof NocredsError) return error as NocredsError // the endpoint's own
  const what = codeOf(error) ?? messageOf(error)
  return new ResidentError(
    'ERR_RESIDENT_START',
    `no exchange of ${nameOf(config)}: the folder ${config.credentialsFolder} cannot be used: ${what}`,
  )
}

/** Says why, and waits to be stopped. */
async function giveUp(
  config: ExchangerConfig,
  { clock, log, signal }: ResidentDeps,
  reason: NocredsError,
): Promise<number> {
  await leaveMessage(config, log, reason)
  if (signal.aborted) return 0
  await untilStopped(clock, signal)
  return 1
}

async function leaveMessage(
  { terminationMessageFile }: ExchangerConfig,
  log: Logger,
  reason: NocredsError,
): Promise<void> {
  try {
    await writeTerminationMessage(terminationMessageFile, reason)
  } catch (error) {
    log.warn({ file: terminationMessageFile, code: codeOf(error) }, 'no termination message')
  }
}
