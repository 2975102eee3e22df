/** Test double: time and chance that only tests move. Never shipped. */
import { setImmediate } from 'node:timers/promises'
import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'

interface Timer {
  readonly dueMs: number
  readonly action: () => void
}

/** 2026-01-01T00:00:00Z: where a virtual clock starts unless told otherwise. */
const DEFAULT_START_MS = Date.UTC(2026, 0, 1)

/** Turns of the event loop after each timer: enough for a chain of loopback or file I/O to continue. */
const DEFAULT_TURNS = 10

/**
 * A clock that stands still until a test moves it. Timers hang on the monotonic time, as Node's do,
 * so neither `jumpWall` nor `suspend` makes one fire.
 */
export class VirtualClock implements Clock {
  #wallMs: number
  #monotonicMs = 0
  readonly #turns: number
  /** In the order of arming; a stable choice of the earliest keeps equal ones in that order. */
  readonly #timers = new Set<Timer>()

  /** `turns`: how often the event loop turns after each timer, for code under test that does I/O. */
  constructor(startMs: number = DEFAULT_START_MS, turns: number = DEFAULT_TURNS) {
    this.#wallMs = startMs
    this.#turns = turns
  }

  now(): number {
    return this.#wallMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, action: () => void): Cancel {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), action }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** How many timers are armed. */
  get pending(): number {
    return this.#timers.size
  }

  /**
   * Moves both times forward by `ms` and runs the timers that fall due, in the order of their time,
   * each at its own moment; timers that they arm within the span run, too. What a timer set in
   * motion continues between it and the next. An error thrown by an action rejects.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    await this.settle()
    for (let timer = this.#earliest(endMs); timer; timer = this.#earliest(endMs)) {
      this.#timers.delete(timer)
      this.#move(Math.max(0, timer.dueMs - this.#monotonicMs))
      timer.action()
      await this.settle()
    }
    this.#move(Math.max(0, endMs - this.#monotonicMs))
    await this.settle()
  }

  /** Lets everything that is ready continue, without moving the time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < this.#turns; turn += 1) await setImmediate()
  }

  /** Moves the wall clock only, in either direction, as NTP or an administrator does. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  /** The machine sleeps: the wall clock runs on, monotonic time and timers stand still. */
  suspend(ms: number): void {
    this.#wallMs += ms
  }

  #move(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }

  #earliest(untilMs: number): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue
      if (earliest === undefined || timer.dueMs < earliest.dueMs) earliest = timer
    }
    return earliest
  }
}

/** The same numbers for the same seed (mulberry32); for tests only, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
