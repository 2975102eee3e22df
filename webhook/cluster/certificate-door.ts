import { sleep, type Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { CertificateDoor } from '../admit/ours/injection.ts'
import type { KubeClient } from '../../service/kube/kube-client.ts'

/** Between two questions to an apiserver that does not answer. */
const AGAIN_MS = 2000

/** What the apiserver serves of this group. Source: Kubernetes API, "Discovery". */
const DISCOVERY = '/apis/certificates.k8s.io/v1'

interface DoorDeps {
  /** Undefined in standalone mode. */
  readonly kube: KubeClient | undefined
  readonly clock: Clock
  readonly log: Logger
}

/**
 * By which door certificates come. `auto` asks the apiserver, again and again until it answers: a guess
 * would give pods of one cluster certificates of two doors.
 */
export async function findCertificateDoor(
  wanted: CertificateDoor | 'auto',
  { kube, clock, log }: DoorDeps,
): Promise<CertificateDoor> {
  if (wanted !== 'auto') return wanted
  if (kube === undefined) return 'authority'
  for (;;) {
    try {
      const door = servesPodCertificates(await kube.get(DISCOVERY))
        ? ('pod-certificate' as const)
        : ('authority' as const)
      log.info({ door }, 'certificates come by this door')
      return door
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'cannot ask the apiserver for its API groups')
      await sleep(clock, AGAIN_MS)
    }
  }
}

/** Looks into an APIResourceList; undefined where the group is not served. */
function servesPodCertificates(list: Readonly<Record<string, unknown>> | undefined): boolean {
  const resources = list?.['resources']
  if (!Array.isArray(resources)) return false
  return (resources as readonly { readonly name?: unknown }[]).some(
    ({ name }) => name === 'podcertificaterequests',
  )
}
