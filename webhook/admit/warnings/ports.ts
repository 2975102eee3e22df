import { DELIVERIES } from '../../../contract/delivery.ts'
import { ENDPOINT, PREFIX } from '../../../contract/names.ts'
import type { Injection } from '../inject/injection.ts'
import type { Container } from '../pod.ts'

/** The exchanger and the containers share the ports of the pod. */
export function portWarnings({ name, ports }: Container, { request }: Injection): string[] {
  const delivery = request.credentials?.delivery
  if (delivery === undefined || !DELIVERIES[delivery].needsOwnLoopback) return []
  if (!Array.isArray(ports)) return []
  const isTaken = ports.some(
    (one) => (one as { containerPort?: unknown } | null)?.containerPort === ENDPOINT.port,
  )
  if (!isTaken) return []
  return [
    `nocreds: container ${name} has containerPort ${ENDPOINT.port}, on which delivery ${delivery} serves credentials on loopback, so one of the two cannot listen; use another port, or ${PREFIX}delivery: process`,
  ]
}
