import { EXCHANGER } from '../../../contract/names.ts'
import { injectedContainer } from '../inject/additions.ts'
import type { Injection } from '../inject/injection.ts'
import { putBack, repaired } from '../inject/repaired.ts'
import type { Pod } from '../pod.ts'

/** What we had to put back in our own container: its author should keep off it. */
export function putBackWarnings(pod: Pod, injection: Injection): string[] {
  const found = pod.spec.initContainers?.find(({ name }) => name === EXCHANGER.container)
  if (found === undefined) return []
  const injected = injectedContainer(injection, pod)
  if (injected === undefined) return []
  const changed = putBack(found, repaired(found, injected, injection))
  if (changed.length === 0) return []
  const more = changed.length > 10 ? ', …' : ''
  return [
    `nocreds: container ${EXCHANGER.container} came otherwise than nocreds writes it (${listOf(changed.slice(0, 10))}${more}), from another webhook, an older version or by hand, and was put back; exclude that container in the other webhook, or take it out of the pod`,
  ]
}

function listOf(texts: readonly string[]): string {
  return texts.map((text) => (text.length > 100 ? `${text.slice(0, 100)}…` : text)).join(', ')
}
