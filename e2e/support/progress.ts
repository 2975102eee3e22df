import { realClock } from '../../shared/base/clock.ts'

const STILL_RUNNING_EVERY_MS = 30_000

export interface Progress {
  /** A line of its own. */
  say(line: string): void
  /** Says what begins, while it lasts that it still does, and how long it took. */
  step<T>(what: string, work: () => Promise<T>): Promise<T>
}

/** Lines such as `[  12s] kind node image` on standard output, in seconds since the start. */
export function progressTo(write: (line: string) => void, clock = realClock): Progress {
  const startedMs = clock.monotonic()
  const secondsSince = (ms: number): number => Math.round((clock.monotonic() - ms) / 1000)
  const say = (line: string): void => {
    write(`[${String(secondsSince(startedMs)).padStart(4)}s] ${line}\n`)
  }
  return {
    say,
    async step(what, work) {
      const stepMs = clock.monotonic()
      say(`${what} …`)
      let cancel = (): void => undefined
      const remind = (): void => {
        cancel = clock.after(STILL_RUNNING_EVERY_MS, () => {
          say(`${what}: still at it, ${secondsSince(stepMs)} s`)
          remind()
        })
      }
      remind()
      try {
        const result = await work()
        say(`${what}: done in ${secondsSince(stepMs)} s`)
        return result
      } finally {
        cancel()
      }
    },
  }
}
