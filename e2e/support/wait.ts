import { realClock, sleep } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'

const PAUSE_MS = 500

/**
 * The result of `look` as soon as it is not undefined.
 *
 * @param what was waited for, as the error says
 * @throws Error after `limitMs`, with what `look` threw at last
 */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = realClock.monotonic() + limitMs
  let last = ''
  for (;;) {
    try {
      const seen = await look()
      if (seen !== undefined) return seen
      last = ''
    } catch (error) {
      last = `: ${messageOf(error)}`
    }
    if (realClock.monotonic() >= endMs)
      throw new Error(`waited ${limitMs / 1000} s for ${what}${last}`)
    await sleep(realClock, PAUSE_MS)
  }
}
