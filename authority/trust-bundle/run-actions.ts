import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { KubeError } from '../../shared/server/kube/kube-client.ts'

/** Concurrent calls to the apiserver; a response may be as large as a tenant's object. */
const MAX_CONCURRENT = 4

/** One write, and its namespace. */
export interface Action {
  /** Undefined for an object of the cluster. */
  readonly namespace?: string
  readonly run: () => Promise<void>
}

/**
 * Runs a few at a time. A lost race, or a namespace that is being deleted, is not a failure.
 *
 * @returns the number of failures
 */
export async function runActions(actions: readonly Action[], log: Logger): Promise<number> {
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
        log.warn({ namespace, error: messageOf(error) }, 'trust bundle not written')
      }
    }
  }
  await Promise.all(Array.from({ length: MAX_CONCURRENT }, worker))
  return failures
}
