import type { Clock } from '../../shared/base/clock.ts'

/**
 * A moment by both clocks; it is past once either says so. The wall clock notices a suspend, the
 * monotonic one holds when the wall clock is set back.
 */
export interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** The moment in `delayMs` from now. */
export function deadlineIn(clock: Clock, delayMs: number): Moment {
  return { wallMs: clock.now() + delayMs, monotonicMs: clock.monotonic() + delayMs }
}

/** Milliseconds until the moment; 0 or less once it is past. */
export function remainingMs(clock: Clock, { wallMs, monotonicMs }: Moment): number {
  return Math.min(wallMs - clock.now(), monotonicMs - clock.monotonic())
}
