/**
 * Aborted when the program is asked to end, by Ctrl-C or by its parent; the program then has to
 * exit, and can first take down what it began. For mains only.
 */
export function interruption(): AbortSignal {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      interrupted.abort()
    })
  return interrupted.signal
}
