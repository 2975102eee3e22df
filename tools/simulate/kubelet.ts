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

const MOUNT_BACKOFF_MS = { first: 500, longest: 122_000 } as const
/** A driver repeats a refusal for so long without a call; so in shared-refresh.ts. */
const REMEMBERED_MS = 10_000

/**
 * How long after a publish that failed a driver makes the next exchange for the pod.
 * Source: Kubernetes, pkg/util/goroutinemap/exponentialbackoff: 0.5 s, 1 s, 2 s, … up to 122 s.
 *
 * @param failures how many publishes led to exchanges that failed before; from 0
 */
export function mountDelayMs(failures: number): number {
  const { first, longest } = MOUNT_BACKOFF_MS
  let delayMs: number = first
  let waitedMs = delayMs
  for (let exchanges = 0; exchanges <= failures; exchanges += 1) {
    if (exchanges > 0) waitedMs = delayMs = Math.min(longest, delayMs * 2)
    // Publishes that only repeat the refusal count as failures to the kubelet, too.
    while (waitedMs < REMEMBERED_MS) {
      delayMs = Math.min(longest, delayMs * 2)
      waitedMs += delayMs
    }
  }
  return waitedMs
}
