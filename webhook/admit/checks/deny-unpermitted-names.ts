import { POD_PLACEHOLDER } from '../../../contract/dns-names.ts'
import { PERMITTED_DNS_NAMES } from '../../../contract/names.ts'
import type { InjectionRequest } from '../../../contract/wanted.ts'
import { nameDecision, type NameContext } from '../../../shared/server/dns-name-decision.ts'
import { permission } from '../../../shared/server/permission.ts'
import { denied, type Denied } from '../verdict.ts'
import { CHANGED_BY, describeExpression } from '../wording.ts'
import type { PermissionFacts } from './permission-facts.ts'

/** The flags that define the names of the cluster and of the authority. */
export interface NameSettings {
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Base URL of the authority. */
  readonly authorityUrl: string
}

/** Denies names of the certificate, by the same function with which the authority decides again. */
export function denyUnpermittedNames(
  { pod, namespace, namespaceAnnotations }: PermissionFacts,
  { credentials, certificate }: InjectionRequest,
  { clusterDomain, authorityUrl }: NameSettings,
): Denied | undefined {
  if (certificate === undefined || certificate.dnsNames.length === 0) return undefined
  const context: NameContext = {
    namespace,
    podName: pod.metadata.name ? pod.metadata.name : undefined,
    expression: namespaceAnnotations?.[PERMITTED_DNS_NAMES],
    clusterDomain,
    authorityNames: [new URL(authorityUrl).hostname],
  }
  for (const name of certificate.dnsNames) {
    const decision = nameDecision(name, context)
    if (decision === 'own' || decision === 'permitted') continue
    const why = decision === 'reserved' ? RESERVED : whyNotPermitted(name, context)
    return denied(
      'name-not-permitted',
      `namespace "${namespace}" does not permit name ${name} for certificates: ${why}`,
      credentials?.role.arn,
    )
  }
  return undefined
}

const RESERVED = 'it is reserved, and no annotation permits it'

function whyNotPermitted(name: string, { namespace, podName, expression }: NameContext): string {
  const notOwn = `it is not the name of a Service of it, such as web.${namespace}.svc, or of the pod itself`
  if (podName === undefined && name.includes(POD_PLACEHOLDER)) {
    return `${notOwn}, and ${POD_PLACEHOLDER} in any other name needs a pod whose name is not generated`
  }
  const is = describeExpression(expression, permission(expression))
  return `${notOwn}, and ${PERMITTED_DNS_NAMES} is ${is}; ${CHANGED_BY}`
}
