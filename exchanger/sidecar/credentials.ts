import { DELIVERIES, type SidecarDelivery } from '../../contract/delivery.ts'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { ensureFolder } from '../../shared/base/files.ts'
import type { Logger } from '../../shared/base/log.ts'
import { exchangeOf } from '../failure.ts'
import { ensureAuthorization } from '../publish/authorization.ts'
import { writeConfigFile } from '../publish/config-file.ts'
import type { Endpoint } from '../publish/endpoint.ts'
import { openStore, type CredentialStore } from '../publish/store.ts'
import { runExchange } from './child.ts'
import { Refresher } from './refresher.ts'
import { CREDENTIALS } from './renewable.ts'
import { runExclusively, versionOf, type RefreshTask, type TaskDeps } from './task.ts'

/** Prepares credentials, which are kept fresh once the refresher is started. Throws if folder or port are unusable. */
export async function openCredentials(
  config: CredentialsConfig,
  deps: TaskDeps,
): Promise<RefreshTask> {
  const { clock, random, exchange, onGiveUp } = deps
  const log = deps.log(config.roleArn)
  const { pod, delivery, targetRoleArn: targetRole } = config
  log.info({ pod, delivery, targetRole }, 'exchanger started')
  await ensureFolder(config.credentialsFolder)
  const store = await openStore(config.credentialsFolder, clock.now())
  const endpoint = await PREPARE[DELIVERIES[config.delivery].sidecar](config, deps, log, store)
  const wanted = exchangeOf(config)
  const refresher = new Refresher({
    renewable: CREDENTIALS,
    wanted,
    clock,
    random,
    store,
    log,
    exchange: (abort) => runExclusively(deps, () => runExchange(exchange, config, abort)),
    tokenVersion: () => versionOf(config.tokenFile),
    onGiveUp,
  })
  return { wanted, refresher, close: () => endpoint?.close() }
}

type Prepare = (
  config: CredentialsConfig,
  deps: TaskDeps,
  log: Logger,
  store: CredentialStore,
) => Promise<Endpoint | undefined>

/** Prepares everything that an app needs except the credentials themselves. */
const PREPARE: Readonly<Record<(typeof DELIVERIES)[SidecarDelivery]['sidecar'], Prepare>> = {
  async files({ credentialsFolder }) {
    await writeConfigFile(credentialsFolder)
    return undefined
  },

  async endpoint({ credentialsFolder }, deps, log, store) {
    const { clock, randomBytes, endpointPort, releaseMemory } = deps
    // HTTP and cryptography are not loaded if files are sufficient.
    const { startEndpoint } = await import('../publish/endpoint.ts')
    const authorization = await ensureAuthorization(credentialsFolder, randomBytes)
    const endpoint = await startEndpoint({
      port: endpointPort,
      authorization,
      current: () => store.current(),
      now: () => clock.now(),
      onBurstEnd: releaseMemory,
    })
    log.info({ port: endpoint.port }, 'endpoint listening')
    return endpoint
  },
}
