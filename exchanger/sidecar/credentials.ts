import type { CredentialsSlot } from '../../contract/container-roles.ts'
import { DELIVERIES, type SidecarDelivery } from '../../contract/delivery.ts'
import { envOfRole, type CredentialsConfig } from '../../contract/exchanger-env.ts'
import { ensureFolder } from '../../shared/base/files.ts'
import { exchangeOf } from '../failure.ts'
import { ensureAuthorization } from '../publish/authorization.ts'
import { writeConfigFile } from '../publish/config-file.ts'
import type { Endpoint, Served } from '../publish/endpoint.ts'
import { openStore, type CredentialStore } from '../publish/store.ts'
import { sidecarSlotsOf } from '../slots.ts'
import { runExchange, type ChildCommand } from './child.ts'
import { Refresher } from './refresher.ts'
import { CREDENTIALS } from './renewable.ts'
import { opened, runExclusively, versionOf, type RefreshTask, type TaskDeps } from './task.ts'

/** The role of the pod, for lines that are about all of it; undefined if it has several. */
export function onlyRoleOf({
  roleArn,
  containerRoleArns,
}: Pick<CredentialsConfig, 'roleArn' | 'containerRoleArns'>): string | undefined {
  return containerRoleArns === undefined ? roleArn : undefined
}

/**
 * Prepares the credentials of each role, which are kept fresh once its refresher is started: one task for each role,
 * independent of the others.
 *
 * @throws NocredsError if a folder or the port is unusable
 */
export async function openCredentials(
  config: CredentialsConfig,
  deps: TaskDeps,
): Promise<readonly RefreshTask[]> {
  const { pod, delivery, roleArn, containerRoleArns, targetRoleArn: targetRole } = config
  const roles = containerRoleArns && [roleArn, ...containerRoleArns].join(' ')
  deps.log(onlyRoleOf(config)).info({ pod, delivery, roles, targetRole }, 'exchanger started')
  const { prepare, serve } = SIDES[DELIVERIES[delivery].sidecar]
  const slots: OpenSlot[] = []
  for (const { slot, wanted } of sidecarSlotsOf(config)) {
    const what = { wanted: exchangeOf(wanted), folder: slot.folder }
    const store = await opened(openFolder(slot, deps), what)
    const side = { config: wanted, appFolder: config.credentialsFolder }
    const authorization = await opened(prepare(side, deps), what)
    slots.push({ slot, config: wanted, store, authorization })
  }
  const what = { wanted: exchangeOf(config), folder: config.credentialsFolder }
  const endpoint = await opened(serve(slots, config, deps), what)
  return slots.map((slot) => ({
    ...taskOf(slot, commandFor(config, slot, deps), deps),
    close: () => endpoint?.close(),
  }))
}

/** One role of the pod, whose folder is ready. */
interface OpenSlot {
  readonly slot: CredentialsSlot
  /** As if its role were the only one. */
  readonly config: CredentialsConfig
  readonly store: CredentialStore
  /** Undefined without an endpoint. */
  readonly authorization: string | undefined
}

async function openFolder(
  { folder }: CredentialsSlot,
  { clock }: TaskDeps,
): Promise<CredentialStore> {
  await ensureFolder(folder)
  return openStore(folder, clock.now())
}

function taskOf(
  { config, store }: OpenSlot,
  command: ChildCommand,
  deps: TaskDeps,
): Omit<RefreshTask, 'close'> {
  const { clock, random, onGiveUp, hasGateOpened } = deps
  const wanted = exchangeOf(config)
  const refresher = new Refresher({
    renewable: CREDENTIALS,
    wanted,
    clock,
    random,
    store,
    log: deps.log(config.roleArn),
    exchange: (abort) => runExclusively(deps, () => runExchange(command, config, abort)),
    tokenVersion: () => versionOf(config.tokenFile),
    onGiveUp,
    hasGateOpened,
  })
  return { wanted, refresher }
}

/** The child of one role knows no other one. */
function commandFor(
  { containerRoleArns }: CredentialsConfig,
  { config }: OpenSlot,
  { exchange }: TaskDeps,
): ChildCommand {
  if (containerRoleArns === undefined) return exchange
  return { ...exchange, env: envOfRole(exchange.env, config.roleArn) }
}

/** What an app needs besides the credentials themselves. */
interface Side {
  /** Prepares the folder of one role. Resolves with what its containers send to the endpoint, if there is one. */
  readonly prepare: (
    slot: { readonly config: CredentialsConfig; readonly appFolder: string },
    deps: TaskDeps,
  ) => Promise<string | undefined>
  readonly serve: (
    slots: readonly OpenSlot[],
    config: CredentialsConfig,
    deps: TaskDeps,
  ) => Promise<Endpoint | undefined>
}

const SIDES: Readonly<Record<(typeof DELIVERIES)[SidecarDelivery]['sidecar'], Side>> = {
  files: {
    async prepare({ config, appFolder }) {
      await writeConfigFile(config.credentialsFolder, appFolder)
      return undefined
    },
    serve: () => Promise.resolve(undefined),
  },

  endpoint: {
    prepare: ({ config }, { randomBytes }) =>
      ensureAuthorization(config.credentialsFolder, randomBytes),
    async serve(slots, config, deps) {
      const { clock, endpointPort: port, releaseMemory } = deps
      // HTTP and cryptography are not loaded if files are sufficient.
      const { startEndpoint } = await import('../publish/endpoint.ts')
      const endpoint = await startEndpoint({
        port,
        served: slots.map(servedFrom),
        now: () => clock.now(),
        onBurstEnd: releaseMemory,
      })
      deps.log(onlyRoleOf(config)).info({ port: endpoint.port }, 'endpoint listening')
      return endpoint
    },
  },
}

function servedFrom({ slot, store, authorization = '' }: OpenSlot): Served {
  return { path: slot.endpointPath, authorization, current: () => store.current() }
}
