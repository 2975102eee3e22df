/**
 * Simultaneous requests of one caller for the same object share one call. A call already in flight may have read
 * before the write that the newest request is about, so later requests share the next call. Callers share
 * nothing, otherwise one client's long queue would delay another caller.
 */
export function shareCalls<T>(
  call: (path: string, caller: string) => Promise<T>,
): (path: string, caller: string) => Promise<T> {
  const inFlight = new Map<string, Promise<unknown>>()
  const waiting = new Map<string, Promise<T>>()
  const start = (key: string, path: string, caller: string): Promise<T> => {
    const started = call(path, caller).finally(() => inFlight.delete(key))
    inFlight.set(key, started)
    return started
  }
  return (path, caller) => {
    const key = `${caller} ${path}`
    const shared = waiting.get(key)
    if (shared !== undefined) return shared
    const before = inFlight.get(key)
    if (before === undefined) return start(key, path, caller)
    const next = before
      .catch(() => undefined)
      .then(() => {
        waiting.delete(key)
        return start(key, path, caller)
      })
    waiting.set(key, next)
    return next
  }
}
