/** Test double of patience: what happens over real I/O is waited for, not timed. Never shipped. */
import { setTimeout as pause } from 'node:timers/promises'

/** Between two polls, in milliseconds. */
const LOOK_MS = 5
/** Far above what any loopback exchange takes, so that a wrong condition fails instead of hanging. */
const MAX_POLLS = 4000

/** Resolves once the condition holds; rejects if it never does. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let poll = 0; poll < MAX_POLLS; poll += 1) {
    if (await condition()) return
    await pause(LOOK_MS)
  }
  throw new Error(`never came true: ${condition.toString()}`)
}
