import type { Clock } from '../../shared/base/clock.ts'

/**
 * A deadline by both clocks; it has passed once either clock says so. The wall clock covers a suspend, the monotonic
 * clock a wall clock that is set back.
 */
export interface Deadline {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** The deadline in `delayMs` from now. */
export function deadlineIn(clock: Clock, delayMs: number): Deadline {
  return { wallMs: clock.now() + delayMs, monotonicMs: clock.monotonic() + delayMs }
}

/** Milliseconds until the deadline; 0 or less once it has passed. */
export function remainingMs(clock: Clock, { wallMs, monotonicMs }: Deadline): number {
  return Math.min(wallMs - clock.now(), monotonicMs - clock.monotonic())
}
