import { realClock, sleep } from '../../platform/clock.ts'

const PAUSE_MS = 500
const MOST_TRIES = 120

/** What the first attempt gives that does not throw, within about a minute; else what the last one threw. */
export async function untilItWorks<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (tries === MOST_TRIES) throw error
      await sleep(realClock, PAUSE_MS)
    }
  }
}
