import { findEngine, stopOwnEngine } from '../airgap/engine.ts'
import type { Host } from '../support/host.ts'
import { deleteCluster, hasCluster } from './bring-up.ts'
import { collect } from './collect.ts'

export interface Ending {
  /** The host that reaches the cluster, if this run has one. */
  readonly cluster: Host | undefined
  /** Logs and events are collected first. */
  readonly failed: boolean
  /** The cluster and its engine stay. */
  readonly keep: boolean
}

/**
 * Leaves the machine as it was, but for the cache; no error if there is nothing to take down. A run
 * that failed before it made a cluster deletes none: one that is there is another's.
 */
export async function takeDown(host: Host, { cluster, failed, keep }: Ending): Promise<void> {
  if (failed && cluster !== undefined) await collect(cluster)
  if (keep) return
  const engine = await findEngine(host)
  if (engine !== undefined) {
    if (!failed || cluster !== undefined)
      await host.progress.step('delete the cluster', () => deleteCluster(engine))
    if (await hasCluster(engine)) return
  }
  await stopOwnEngine(host)
}
