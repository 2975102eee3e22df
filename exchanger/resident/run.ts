import { stat, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import { ENDPOINT } from '../../contract/names.ts'
import type { Clock, Random } from '../../platform/clock.ts'
import { codeOf, NocredsError } from '../../platform/errors.ts'
import { ensureFolder } from '../../platform/files.ts'
import type { Logger } from '../../platform/log.ts'
import { listen } from '../../platform/server.ts'
import { ensureAuthorization } from '../publish/authorization.ts'
import { writeAwsConfig } from '../publish/aws-config.ts'
import { createEndpoint } from '../publish/endpoint.ts'
import { openStore, type CredentialStore } from '../publish/store.ts'
import { exchangeInChild, type ExchangeCommand } from './child.ts'
import { Refresher } from './refresher.ts'
import { terminationMessage } from './termination-message.ts'

export interface ResidentDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly exchangeCommand: ExchangeCommand
  /** Port of the endpoint; the pod's is fixed, tests take a free one. */
  readonly endpointPort?: number
}

export interface Resident {
  /** Exit code, once the process has no more to do: 1 where no first credentials can be had. */
  readonly finished: Promise<number>
  /** Stops at once. Before the first credentials it still leaves the reason for whoever looks. */
  stop(): Promise<void>
}

/** The volume cannot be written, or the endpoint's port is taken: nothing works without. */
export class StartError extends NocredsError<'ERR_VOLUME' | 'ERR_PORT'> {}

/**
 * Starts the resident process of a sidecar: everything the app's SDK reads stands first, then the
 * first credentials are fetched.
 *
 * @throws StartError, with the termination message written
 */
export async function startResident(
  config: ExchangerConfig,
  deps: ResidentDeps,
): Promise<Resident> {
  const { log } = deps
  let store: CredentialStore
  let server: Server | undefined
  try {
    store = await prepareVolume(config)
    server = await serveEndpoint(config, store, deps.endpointPort ?? ENDPOINT.port)
  } catch (error) {
    if (error instanceof StartError) await leaveMessage(config, error, log)
    throw error
  }
  const { promise: finished, resolve: finish } = Promise.withResolvers<number>()
  const refresher = new Refresher({
    ...deps,
    store,
    exchange: (signal) => exchangeInChild(deps.exchangeCommand, signal),
    tokenVersion: () => versionOf(config.tokenFile),
    onGiveUp(error) {
      log.error(
        { code: error.code },
        'no first credentials; the kubelet will start the sidecar again',
      )
      void leaveMessage(config, error, log).then(() => {
        finish(1)
      })
    },
  })
  refresher.start()
  return {
    finished,
    async stop() {
      refresher.stop()
      server?.close()
      server?.closeAllConnections()
      const { lastFailure, gateOpen } = refresher
      if (!gateOpen && lastFailure !== undefined) await leaveMessage(config, lastFailure, log)
      finish(0)
    },
  }
}

async function prepareVolume(config: ExchangerConfig): Promise<CredentialStore> {
  const folder = config.credentialsFolder
  try {
    await ensureFolder(folder)
    if (config.delivery === 'process') await writeAwsConfig(folder)
    return await openStore(folder)
  } catch (error) {
    const code = codeOf(error) ?? 'unknown'
    throw new StartError('ERR_VOLUME', `the folder ${folder} cannot be written: ${code}`, {
      cause: error,
    })
  }
}

async function serveEndpoint(
  config: ExchangerConfig,
  store: CredentialStore,
  port: number,
): Promise<Server | undefined> {
  if (config.delivery !== 'endpoint') return undefined
  const authorization = await ensureAuthorization(config.credentialsFolder)
  const server = createEndpoint({ authorization, current: () => store.current() })
  try {
    await listen(server, port, ENDPOINT.host)
  } catch (error) {
    const code = codeOf(error) ?? 'unknown'
    throw new StartError('ERR_PORT', `${ENDPOINT.host}:${port} cannot be listened on: ${code}`, {
      cause: error,
      hint: 'Does another container of the pod use that port? Then choose nocreds.dev/delivery: process.',
    })
  }
  return server
}

/** The kubelet swaps a symbolic link when it renews the token, so the file behind it is another one. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs } = await stat(path)
    return `${ino}:${mtimeMs}`
  } catch {
    return undefined
  }
}

async function leaveMessage(
  config: ExchangerConfig,
  error: NocredsError,
  log: Logger,
): Promise<void> {
  try {
    await writeFile(config.terminationMessageFile, terminationMessage(error, config))
  } catch (cause) {
    log.warn({ code: codeOf(cause) }, 'the termination message cannot be written')
  }
}
