import { DELIVERIES } from '../../../contract/delivery.ts'
import { EXCHANGER, PREFIX } from '../../../contract/names.ts'
import type { Injection } from '../inject/injection.ts'
import { slotNumberOf } from '../inject/slots.ts'
import { containersOf, type Container, type Pod } from '../pod.ts'

/** What containers of a pod with roles of their own share, by which one could get the credentials of another. */
export function separationWarnings(pod: Pod, { request: { credentials } }: Injection): string[] {
  if (credentials?.containers === undefined) return []
  const others = containersOf(pod).filter(({ name }) => name !== EXCHANGER.container)
  const slots = new Set(others.map(({ name }) => slotNumberOf(name, credentials)))
  if (slots.size < 2) return []
  const warnings: string[] = []
  const sniffing = others.filter(keepsRawSockets).map(({ name }) => name)
  if (DELIVERIES[credentials.delivery].needsOwnLoopback && sniffing.length > 0) {
    warnings.push(
      `nocreds: delivery ${credentials.delivery} serves the credentials of all containers on the one loopback of the pod, where containers that keep the capability NET_RAW can read them: ${listOf(sniffing)}; drop ALL in their securityContext.capabilities, or use ${PREFIX}delivery: process`,
    )
  }
  if (pod.spec.shareProcessNamespace === true) {
    warnings.push(
      'nocreds: with shareProcessNamespace containers of the same user can read the credentials of each other through /proc, so roles of single containers do not separate them; remove shareProcessNamespace',
    )
  }
  return warnings
}

function listOf(names: readonly string[]): string {
  return names.slice(0, 10).join(', ') + (names.length > 10 ? ', …' : '')
}

/** Runtimes give it to every container. Source: Kubernetes, "Configure a Security Context for a Pod or Container". */
function keepsRawSockets({ securityContext }: Container): boolean {
  const capabilities = fieldsOf(fieldsOf(securityContext)['capabilities'])
  const [drop, add] = [namesOf(capabilities['drop']), namesOf(capabilities['add'])]
  const isDropped = drop.includes('ALL') || drop.includes('NET_RAW')
  return !isDropped || add.includes('NET_RAW') || add.includes('ALL')
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function namesOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
