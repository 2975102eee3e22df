/** Creates a mutex: a function that runs actions one after the other, also after one that failed. */
export function createMutex(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (action) => {
    const next = last.then(action, action)
    last = next
    return next
  }
}
