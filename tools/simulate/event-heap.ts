/**
 * The next event of each of a fixed number of pods, the earliest first. A pod always has exactly one,
 * so the heap never grows: two typed arrays, 12 bytes a pod, O(log pods) an event.
 */
export class EventHeap {
  /** By pod. */
  readonly #dueMs: Float64Array
  /** Pods; each is due no earlier than the one at half of its place. */
  readonly #order: Int32Array

  /** `dueMs`: the first event of each pod; copied. At least one. */
  constructor(dueMs: Float64Array) {
    this.#dueMs = dueMs.slice()
    this.#order = Int32Array.from(dueMs, (_, pod) => pod)
    for (let place = (dueMs.length >> 1) - 1; place >= 0; place -= 1) this.#sink(place)
  }

  /** The pod whose event is the earliest. */
  get pod(): number {
    return this.#order[0] as number
  }

  /** When the earliest event is. */
  get earliestMs(): number {
    return this.#dueMs[this.pod] as number
  }

  /** The earliest event has happened; the pod's next one is at `nextMs`, not before it. */
  replace(nextMs: number): void {
    this.#dueMs[this.pod] = nextMs
    this.#sink(0)
  }

  #sink(from: number): void {
    const order = this.#order
    const dueMs = this.#dueMs
    const pod = order[from] as number
    const podMs = dueMs[pod] as number
    let place = from
    for (let child = 2 * place + 1; child < order.length; child = 2 * place + 1) {
      const right = child + 1
      const isRightEarlier = right < order.length && this.#msAt(right) < this.#msAt(child)
      if (isRightEarlier) child = right
      if (this.#msAt(child) >= podMs) break
      order[place] = order[child] as number
      place = child
    }
    order[place] = pod
  }

  #msAt(place: number): number {
    return this.#dueMs[this.#order[place] as number] as number
  }
}
