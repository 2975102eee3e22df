import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { KubeError } from '../../shared/server/kube/kube-client.ts'

/** Calls of the apiserver under way at once; their answers may be as large as what a tenant wrote. */
const MAX_AT_ONCE = 4

/** One thing that a pass does, and where. */
export interface Action {
  /** Undefined for what belongs to no namespace. */
  readonly namespace?: string
  readonly run: () => Promise<void>
}

/**
 * Runs a few at a time. A lost race, or a namespace that is going, is no failure.
 *
 * @returns how many failed
 */
export async function settle(actions: readonly Action[], log: Logger): Promise<number> {
  const left = [...actions]
  let failures = 0
  const worker = async (): Promise<void> => {
    for (let action = left.shift(); action !== undefined; action = left.shift()) {
      const { namespace, run } = action
      try {
        await run()
      } catch (error) {
        if (error instanceof KubeError && [404, 409].includes(error.status)) continue
        failures += 1
        log.warn({ namespace, reason: messageOf(error) }, 'trust bundle not written')
      }
    }
  }
  await Promise.all(Array.from({ length: MAX_AT_ONCE }, worker))
  return failures
}
