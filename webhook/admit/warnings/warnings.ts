import { EXCHANGER } from '../../../contract/names.ts'
import { appSide } from '../inject/deliveries.ts'
import type { Injection } from '../inject/injection.ts'
import { meshWarnings } from '../inject/mesh.ts'
import { bySlot } from '../inject/slots.ts'
import { containersOf, type Pod } from '../pod.ts'
import { dnsWarnings } from './dns.ts'
import { mountWarnings } from './mounts.ts'
import { portWarnings } from './ports.ts'
import { repairWarnings } from './repairs.ts'
import { separationWarnings } from './separation.ts'
import { stsWarnings } from './sts.ts'
import { variableWarnings } from './variables.ts'
import { skipWarnings } from './without-effect.ts'

/**
 * What the person who applies the pod should know: conflicting variables, mounts and ports,
 * and names that no container has. The apiserver passes these on to `kubectl`.
 */
export function warningsFor(pod: Pod, injection: Injection): string[] {
  const { credentials, skipContainers: skipped } = injection.request
  const sideFor = bySlot(credentials, (slot) => appSide(injection, pod, slot))
  const served = containersOf(pod).filter(
    ({ name }) => name !== EXCHANGER.container && !skipped.includes(name),
  )
  return [
    ...served.flatMap((container) => [
      ...variableWarnings(container, { app: sideFor(container.name), injection, pod }),
      ...mountWarnings(container, sideFor(container.name), pod),
      ...portWarnings(container, injection),
    ]),
    ...separationWarnings(pod, injection),
    ...dnsWarnings(pod, injection),
    ...(served.length === 0 ? [] : stsWarnings(injection)),
    ...skipWarnings(pod, skipped),
    ...repairWarnings(pod, injection),
    ...meshWarnings(pod, injection),
  ]
}
