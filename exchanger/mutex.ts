/** Makes a function that runs what it is given one after the other, whether or not the last one failed. */
export function turns(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (action) => {
    const next = last.then(action, action)
    last = next
    return next
  }
}
