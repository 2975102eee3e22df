import { EXCHANGER } from '../../../contract/names.ts'
import { injectedContainer } from '../inject/additions.ts'
import type { Injection } from '../inject/injection.ts'
import { repairedParts, repaired } from '../inject/repaired.ts'
import type { Pod } from '../pod.ts'

/** What had to be repaired in the sidecar: whatever changed it should leave it alone. */
export function repairWarnings(pod: Pod, injection: Injection): string[] {
  const found = pod.spec.initContainers?.find(({ name }) => name === EXCHANGER.container)
  if (found === undefined) return []
  const injected = injectedContainer(injection, pod)
  if (injected === undefined) return []
  const changed = repairedParts(found, repaired(found, injected, injection))
  if (changed.length === 0) return []
  const more = changed.length > 10 ? ', …' : ''
  return [
    `nocreds: container ${EXCHANGER.container} differed from what nocreds writes (${listOf(changed.slice(0, 10))}${more}), changed by another webhook, an older version or by hand, and was repaired; exclude that container in the other webhook, or remove it from the pod`,
  ]
}

/** What a pod from a backup had of its former exchanger. */
export function conversionWarnings(
  removed: readonly string[],
  { request: { exchanger } }: Injection,
): string[] {
  if (removed.length === 0) return []
  return [
    `nocreds: removed ${removed.join(', ')}: the pod was served by the ${exchanger === 'driver' ? 'sidecar' : 'driver'} before, and is by the ${exchanger} now`,
  ]
}

function listOf(texts: readonly string[]): string {
  return texts.map((text) => (text.length > 100 ? `${text.slice(0, 100)}…` : text)).join(', ')
}
