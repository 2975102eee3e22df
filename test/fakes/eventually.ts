/** Test double of patience: what happens over real I/O is waited for, not timed. Never shipped. */
import { setTimeout as pause } from 'node:timers/promises'

/** Between two looks, in milliseconds. */
const LOOK_MS = 5
/** Far above what any loopback exchange takes, so that a wrong condition fails instead of hanging. */
const MOST_LOOKS = 4000

/** Resolves once the condition holds; rejects where it never does. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    if (await condition()) return
    await pause(LOOK_MS)
  }
  throw new Error(`never came true: ${condition.toString()}`)
}
