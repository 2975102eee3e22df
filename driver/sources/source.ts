import type { Store } from '../../exchanger/publish/store.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { Volume, VolumeSettings } from '../files/volume.ts'
import type { Metrics } from '../metrics.ts'
import type { Pod, PodToken } from '../pod-tokens.ts'
import type { SharedRefresh, SharedRefreshDeps } from '../shared-refresh.ts'

/** One item that a pod wants, and the pod's volume that gets it. */
export interface Part<Wanted> {
  readonly volume: string
  readonly wanted: Wanted
}

/** Where one kind of item comes from. */
export interface Source<Wanted, Item> {
  /** What is kept fresh independently of each other: at least one, each for a volume of its own. No two have one key. */
  partsOf(wanted: Wanted): readonly Part<Wanted>[]
  /** Audience of the token that is exchanged. */
  audienceOf(wanted: Wanted): string
  /** The same for all pods that may share one exchange, of any of their tokens. */
  keyOf(pod: Pod, wanted: Wanted, token: PodToken): string
  /** For the pods with one key, made for the first of them. */
  make(
    pod: Pod,
    wanted: Wanted,
    onUnwritten: SharedRefreshDeps<Item>['onUnwritten'],
  ): SharedRefresh<Item>
  /** Waits until the kubelet has prepared the volume. @throws DriverError */
  openStore(volume: Volume, signal: AbortSignal): Promise<Store<Item>>
}

export interface SourceDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
  readonly volumes: VolumeSettings
}

/** Logs with the pod's namespace and ServiceAccount in every line. */
export function logOf(
  log: Logger,
  { namespace, serviceAccount }: Pod,
  more: Readonly<Record<string, string>> = {},
): Logger {
  const base = { namespace, serviceAccount, ...more }
  return {
    debug: (fields, msg) => {
      log.debug({ ...base, ...fields }, msg)
    },
    info: (fields, msg) => {
      log.info({ ...base, ...fields }, msg)
    },
    warn: (fields, msg) => {
      log.warn({ ...base, ...fields }, msg)
    },
    error: (fields, msg) => {
      log.error({ ...base, ...fields }, msg)
    },
  }
}
