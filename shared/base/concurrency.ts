/** Runs an action once there is room. */
export type Limit = <T>(action: () => Promise<T>) => Promise<T>

/** Lets `max` actions run at once; the others wait in the order in which they came. */
export function limitConcurrency(max: number): Limit {
  const waiting: (() => void)[] = []
  let running = 0
  return async (action) => {
    if (running < max) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await action()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next() // takes this one's place
    }
  }
}
