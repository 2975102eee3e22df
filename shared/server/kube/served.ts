import { sleepUnless, type Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { KubeClient } from './kube-client.ts'

/** API group and version of certificate requests and of trust bundles. */
export const CERTIFICATES_API = '/apis/certificates.k8s.io/v1'

/** Interval of discovery: an upgraded cluster may serve a new resource. */
const PROBE_MS = 180_000
const PROBE_RETRY_MS = 5000

/** True if the apiserver serves that resource of {@link CERTIFICATES_API}. @throws KubeError */
export async function isServed(kube: KubeClient, resource: string): Promise<boolean> {
  const resources = (await kube.get(CERTIFICATES_API))?.['resources']
  if (!Array.isArray(resources)) return false
  return (resources as readonly { readonly name?: unknown }[]).some(({ name }) => name === resource)
}

export interface Discovery {
  /** A resource of {@link CERTIFICATES_API}. */
  readonly resource: string
  readonly kube: KubeClient
  readonly clock: Clock
  readonly log: Logger
  /** Logged after each failure. */
  readonly failed: string
  /** Called each time that the apiserver does not serve the resource. */
  readonly onAbsent?: () => void
}

/** Waits until the apiserver serves the resource; returns false if the signal is aborted before. */
export async function waitUntilServed(
  { resource, kube, clock, log, failed, onAbsent }: Discovery,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    let pauseMs = PROBE_MS
    try {
      if (await isServed(kube, resource)) break
      onAbsent?.()
    } catch (error) {
      pauseMs = PROBE_RETRY_MS
      log.warn({ error: messageOf(error) }, failed)
    }
    await sleepUnless(clock, pauseMs, signal)
  }
  return !signal.aborted
}
