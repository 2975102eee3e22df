import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SidecarConfig } from '../contract/exchanger-env.ts'
import { codeOf } from '../shared/base/errors.ts'

/**
 * Stands in the first volume of the sidecar, which lives as long as the pod and is empty again after a restart of the
 * node. Apps mount that volume read-only.
 */
const FILE = '.gate-opened'

/**
 * Whether the gate of this pod has opened before, so that the app runs already. A sidecar that starts then, after a crash
 * or a kill, must serve what it can: if it gave up because one role is refused meanwhile, no other one would be renewed.
 */
export async function hasGateOpened(config: SidecarConfig): Promise<boolean> {
  try {
    return (await stat(markOf(config))).isFile()
  } catch {
    return false
  }
}

/** Without the mark a later restart is taken for a first start, which is no reason to keep the app from starting now. */
export async function markGateOpened(config: SidecarConfig): Promise<void> {
  try {
    await writeFile(markOf(config), '', { flag: 'wx', mode: 0o644 })
  } catch (error) {
    if (codeOf(error) === undefined) throw error
  }
}

function markOf({ credentials, certificate }: SidecarConfig): string {
  return join(credentials?.credentialsFolder ?? certificate?.tlsFolder ?? '/nowhere', FILE)
}
