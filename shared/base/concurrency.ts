/** Runs an action once there is a free slot. */
export type Limit = <T>(action: () => Promise<T>) => Promise<T>

/** Runs at most `max` actions concurrently; the others wait in order of arrival. */
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
      else next() // the slot is passed on
    }
  }
}

/** The same for each key; keys that nothing runs or waits for are forgotten. */
export function limitConcurrencyPerKey(
  max: number,
): <T>(key: string, action: () => Promise<T>) => Promise<T> {
  const keys = new Map<string, { readonly limit: Limit; actions: number }>()
  return async (key, action) => {
    const entry = keys.get(key) ?? { limit: limitConcurrency(max), actions: 0 }
    keys.set(key, entry)
    entry.actions += 1
    try {
      return await entry.limit(action)
    } finally {
      entry.actions -= 1
      if (entry.actions === 0) keys.delete(key)
    }
  }
}

/** Waits for all of them, so that nothing continues behind an answer, and then fails as the first one that did. */
export async function allSettled(all: readonly Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(all)) if (one.status === 'rejected') throw one.reason
}
