import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, type Clock } from '../shared/base/clock.ts'
import { codeOf } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'

const RETRY_MS = 10_000
/** Folders that a running kubelet has, whatever its version. */
const FOLDERS = ['pods', 'plugins_registry'] as const

/** Waits until the folder is one of a kubelet; until then it says what is missing, and the driver is not ready. */
export async function waitForKubelet(
  folder: string,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  for (;;) {
    const problem = await problemOf(folder)
    if (problem === undefined) return
    const hint =
      "--kubelet-folder must be the kubelet's --root-dir, mounted at the same path as on the node"
    log.error({ folder, error: problem, hint }, 'no kubelet folder')
    await sleep(clock, RETRY_MS)
  }
}

/** Undefined if nothing is wrong. */
async function problemOf(folder: string): Promise<string | undefined> {
  for (const name of FOLDERS) {
    const path = join(folder, name)
    try {
      if (!(await lstat(path)).isDirectory()) return `${path} is not a folder`
    } catch (error) {
      return `${path} cannot be used: ${codeOf(error) ?? 'unknown'}`
    }
  }
  return undefined
}
