import { publishedExpirationMs } from '../../contract/credentials.ts'
import { GATE_MS, refreshDelayMs, retryDelayMs } from '../../exchanger/sidecar/schedule.ts'
import type { Random } from '../../shared/base/clock.ts'
import { EventHeap } from './event-heap.ts'
import { restartDelayMs } from './kubelet.ts'
import type { Sts } from './sts.ts'

export interface FleetOptions {
  readonly pods: number
  /** The pods start at moments spread evenly by chance over so long, from 0. */
  readonly startSpreadMs: number
  /** Whole seconds. */
  readonly durationMs: number
  /** Lifetime of the credentials of STS. */
  readonly lifetimeMs: number
  readonly sts: Sts
  readonly random: Random
  /** What the kubelet waits before it starts one again that gave up; default: as for a container. */
  readonly restartDelayMs?: (restarts: number) => number
  readonly interruption?: Interruption
}

/** A moment at which every process ends and begins again, all of them with credentials. */
interface Interruption {
  readonly atMs: number
  /** When the pod calls next; `endMs`: when its credentials end. */
  readonly nextMs: (pod: number, endMs: number, random: Random) => number
}

/** What happened, second by second; index 0 is the first second. */
export interface FleetRecord {
  readonly pods: number
  readonly lifetimeMs: number
  /** Calls of STS, those that failed included. */
  readonly calls: Uint32Array
  readonly failedCalls: Uint32Array
  /** Pods that have called and have no valid credentials, at the end of the second. */
  readonly without: Int32Array
  /** Pods whose last call failed, at the end of the second. */
  readonly unserved: Int32Array
  /** How often the credentials of a pod ended before it had new ones, however briefly. */
  readonly lapses: number
}

/**
 * Runs a fleet of residents on a virtual clock. Each pod steps as `Refresher` does and asks the same
 * functions when to call next; the same random numbers give the same moments (held by a test).
 */
export function simulateFleet(options: FleetOptions): FleetRecord {
  const fleet = new Fleet(options)
  fleet.run()
  return fleet.record()
}

class Fleet {
  readonly #options: FleetOptions
  #heap: EventHeap
  // By pod. Times are milliseconds; 0 for "no credentials yet", Infinity for a gate that is open.
  readonly #endMs: Float64Array
  readonly #gateMs: Float64Array
  readonly #failures: Uint32Array
  readonly #restarts: Uint32Array
  readonly #isUnserved: Uint8Array
  // By second. The latter two hold changes until the run is over.
  readonly #calls: Uint32Array
  readonly #failedCalls: Uint32Array
  readonly #without: Int32Array
  readonly #unserved: Int32Array
  #lapses = 0

  constructor(options: FleetOptions) {
    const { pods, startSpreadMs, durationMs, random } = options
    const seconds = Math.ceil(durationMs / 1000)
    this.#options = options
    const startMs = new Float64Array(pods).map(() => Math.floor(startSpreadMs * random()))
    this.#heap = new EventHeap(startMs)
    this.#gateMs = startMs.map((ms) => ms + GATE_MS)
    this.#endMs = new Float64Array(pods)
    this.#failures = new Uint32Array(pods)
    this.#restarts = new Uint32Array(pods)
    this.#isUnserved = new Uint8Array(pods)
    this.#calls = new Uint32Array(seconds)
    this.#failedCalls = new Uint32Array(seconds)
    this.#without = new Int32Array(seconds)
    this.#unserved = new Int32Array(seconds)
  }

  run(): void {
    const { durationMs, interruption } = this.#options
    if (interruption !== undefined) {
      this.#runUntil(interruption.atMs)
      this.#interrupt(interruption)
    }
    this.#runUntil(durationMs)
    this.#endMs.forEach((endMs) => {
      if (endMs > 0 && endMs < durationMs) this.#lapse(endMs)
    })
  }

  #runUntil(endMs: number): void {
    const heap = this.#heap
    for (let nowMs = heap.earliestMs; nowMs < endMs; nowMs = heap.earliestMs) {
      heap.replace(this.#step(heap.pod, nowMs))
    }
  }

  #interrupt({ nextMs }: Interruption): void {
    const { random } = this.#options
    this.#heap = new EventHeap(this.#endMs.map((endMs, pod) => nextMs(pod, endMs, random)))
    this.#failures.fill(0)
  }

  record(): FleetRecord {
    const { pods, lifetimeMs } = this.#options
    return {
      pods,
      lifetimeMs,
      calls: this.#calls,
      failedCalls: this.#failedCalls,
      without: summed(this.#without),
      unserved: summed(this.#unserved),
      lapses: this.#lapses,
    }
  }

  /** One wake-up of a resident: when is its next? */
  #step(pod: number, nowMs: number): number {
    if (nowMs >= at(this.#gateMs, pod)) return this.#giveUp(pod, nowMs)
    add(this.#calls, nowMs, 1)
    return this.#options.sts(nowMs) ? this.#publish(pod, nowMs) : this.#fail(pod, nowMs)
  }

  #publish(pod: number, nowMs: number): number {
    const { lifetimeMs, random } = this.#options
    const lastEndMs = at(this.#endMs, pod)
    if (lastEndMs === 0) {
      if (at(this.#isUnserved, pod) === 1) add(this.#without, nowMs, -1)
    } else if (lastEndMs <= nowMs) {
      this.#lapse(lastEndMs)
      add(this.#without, nowMs, -1)
    }
    this.#setUnserved(pod, 0, nowMs)
    // A document's Expiration has whole seconds.
    const endMs = Math.floor(publishedExpirationMs(nowMs + lifetimeMs, lifetimeMs) / 1000) * 1000
    this.#endMs[pod] = endMs
    this.#gateMs[pod] = Infinity
    this.#failures[pod] = 0
    return wakeMs(nowMs, refreshDelayMs(endMs - nowMs, random))
  }

  #fail(pod: number, nowMs: number): number {
    const endMs = at(this.#endMs, pod)
    const failures = at(this.#failures, pod) + 1
    add(this.#failedCalls, nowMs, 1)
    if (endMs === 0 && at(this.#isUnserved, pod) === 0) add(this.#without, nowMs, 1)
    this.#setUnserved(pod, 1, nowMs)
    this.#failures[pod] = failures
    const leftMs = Math.max(0, endMs - nowMs)
    const delayMs = retryDelayMs('transient', failures, leftMs, this.#options.random)
    return Math.min(wakeMs(nowMs, delayMs), at(this.#gateMs, pod))
  }

  /** The process ends, and the kubelet starts another one. */
  #giveUp(pod: number, nowMs: number): number {
    const restarts = at(this.#restarts, pod)
    const startMs = nowMs + (this.#options.restartDelayMs ?? restartDelayMs)(restarts)
    this.#restarts[pod] = restarts + 1
    this.#failures[pod] = 0
    this.#gateMs[pod] = startMs + GATE_MS
    return startMs
  }

  /** The way back is noted once there are new ones. */
  #lapse(endMs: number): void {
    this.#lapses += 1
    add(this.#without, endMs, 1)
  }

  #setUnserved(pod: number, unserved: 0 | 1, nowMs: number): void {
    add(this.#unserved, nowMs, unserved - at(this.#isUnserved, pod))
    this.#isUnserved[pod] = unserved
  }
}

/** A resident's timer has whole milliseconds, and never less than one. */
function wakeMs(nowMs: number, delayMs: number): number {
  return nowMs + Math.max(1, Math.ceil(delayMs))
}

function at(values: Float64Array | Uint32Array | Uint8Array, pod: number): number {
  return values[pod] as number
}

function add(bySecond: Uint32Array | Int32Array, nowMs: number, change: number): void {
  const second = Math.floor(nowMs / 1000)
  bySecond[second] = (bySecond[second] as number) + change
}

function summed(changes: Int32Array): Int32Array {
  let sum = 0
  return changes.map((change) => (sum += change))
}
