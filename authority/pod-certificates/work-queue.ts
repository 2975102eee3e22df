/** What is done with the keys of a queue. */
interface Work {
  /** Whether there is something to do for the key; asked when its turn comes. */
  readonly isDue: (key: string) => boolean
  /** Never rejects. */
  readonly run: (key: string) => Promise<void>
}

const MAX_CONCURRENT = 16

/** Works on keys in order of arrival: a few concurrently, and never twice on one at the same time. */
export class WorkQueue {
  readonly #work: Work
  readonly #inFlight = new Set<string>()
  /** In order of arrival. */
  readonly #waiting = new Set<string>()

  constructor(work: Work) {
    this.#work = work
  }

  add(key: string): void {
    if (!this.#work.isDue(key) || this.#inFlight.has(key)) return
    if (this.#inFlight.size >= MAX_CONCURRENT) {
      this.#waiting.add(key)
      return
    }
    this.#inFlight.add(key)
    void this.#work.run(key).finally(() => {
      this.#inFlight.delete(key)
      this.#addWaiting()
    })
  }

  #addWaiting(): void {
    for (const key of this.#waiting) {
      if (this.#inFlight.size >= MAX_CONCURRENT) return
      this.#waiting.delete(key)
      this.add(key)
    }
  }
}
