const BACKOFF_MS = { first: 10_000, longest: 300_000 } as const

/**
 * How long the kubelet waits before it starts a container again that ended without success.
 * Source: Kubernetes, "Pod Lifecycle", container restarts: 10 s, 20 s, 40 s, … up to 300 s. The first
 * restart comes at once.
 *
 * @param restarts how often it was started again before; from 0
 */
export function restartDelayMs(restarts: number): number {
  if (restarts === 0) return 0
  return Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** (restarts - 1))
}
