import { appHoldsToken } from '../../../contract/delivery.ts'
import { PREFIX } from '../../../contract/names.ts'
import { defaultRegionOf, partitionOf } from '../../../contract/role-arn.ts'
import type { Injection } from '../inject/injection.ts'

/** Settings with which this pod does not reach the STS that knows its role. */
export function stsWarnings({ request: { credentials }, stsProxy, stsCa }: Injection): string[] {
  if (credentials === undefined) return []
  const { region, role, delivery } = credentials
  const warnings: string[] = []
  if (region !== undefined && partitionOf(region) !== role.partition) {
    warnings.push(
      `nocreds: ${PREFIX}region is ${region}, which is in partition ${partitionOf(region)}, but the role is in ${role.partition}: STS in that region does not know it; use a region such as ${defaultRegionOf(role)}, or remove it`,
    )
  }
  if (appHoldsToken(delivery) && (stsProxy !== undefined || stsCa !== undefined)) {
    warnings.push(
      `nocreds: with delivery ${delivery} the app calls STS itself, and gets neither the proxy nor the CA of the cluster's settings; give it its own (HTTPS_PROXY, AWS_CA_BUNDLE), or use ${PREFIX}delivery: process`,
    )
  }
  return warnings
}
