/** Cancels a timer; calling it twice, or after the timer fired, does nothing. */
export type Cancel = () => void

/**
 * Time as an argument. Only `main.ts` passes the real clock, so tests simulate years in milliseconds.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. It may jump (NTP, suspend). */
  now(): number
  /** Milliseconds since an arbitrary time. It never goes back, and stops while the system is suspended. */
  monotonic(): number
  /** Calls `action` once, after at least `delayMs`. */
  after(delayMs: number, action: () => void): Cancel
}

/** Returns a number from 0 (inclusive) to 1 (exclusive), evenly distributed. */
export type Random = () => number

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => Number(process.hrtime.bigint()) / 1e6, // `performance` would load ten more modules
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => {
      clearTimeout(timer)
    }
  },
}

/** Resolves after `delayMs` of the clock's time. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
}

/** Resolves after `delayMs` of the clock's time, or as soon as the signal is aborted. */
export function sleepUnless(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const cancel = clock.after(delayMs, resolve)
    signal.addEventListener(
      'abort',
      () => {
        cancel()
        resolve()
      },
      { once: true },
    )
  })
}

/**
 * Runs `action` with a signal that is aborted after `limitMs` of the clock's time. It is for the action to end then.
 */
export async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const cancel = clock.after(limitMs, () => {
    limit.abort()
  })
  try {
    return await action(limit.signal)
  } finally {
    cancel()
  }
}
