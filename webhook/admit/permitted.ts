import { POD_PLACEHOLDER } from '../../contract/dns-names.ts'
import type { InjectionRequest } from '../../contract/annotations.ts'
import { PERMITTED_DNS_NAMES, PERMITTED_ROLES } from '../../contract/names.ts'
import { nameDecision, type NameContext } from '../../service/dns-name-decision.ts'
import { permission, type Permission } from '../../service/permission.ts'
import type { Pod } from './pod.ts'
import { denied, type Denied } from './verdict.ts'

/** The namespace of a pod, as far as it permits something. */
export interface PermittingNamespace {
  readonly namespace: string
  /** Undefined where the apiserver knows no such Namespace. */
  readonly namespaceAnnotations: Readonly<Record<string, string>> | undefined
}

/** Who asks, and the namespace that permits. */
interface PermissionFacts extends PermittingNamespace {
  readonly pod: Pod
}

/** The flags that say which names are the cluster's and the authority's. */
export interface PermissionSettings {
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Base URL of the authority. */
  readonly authorityUrl: string
}

const CHANGED_BY = 'an administrator of the Namespace can change that'

/** Whether the namespace permits all that is asked for: the role first, then the names. */
export function permitted(
  facts: PermissionFacts,
  request: InjectionRequest,
  settings: PermissionSettings,
): Denied | undefined {
  return roleDenied(facts, request) ?? nameDenied(facts, request, settings)
}

function roleDenied(
  { namespace, namespaceAnnotations }: PermittingNamespace,
  { credentials }: InjectionRequest,
): Denied | undefined {
  if (credentials === undefined) return undefined
  const { arn } = credentials.role
  const expression = namespaceAnnotations?.[PERMITTED_ROLES]
  const permits = permission(expression)
  if (permits.valid && permits.permits(arn)) return undefined
  return denied(
    'role-not-permitted',
    `namespace "${namespace}" does not permit role ${arn}: ${PERMITTED_ROLES} is ${shown(expression, permits)}`,
    arn,
  )
}

/** The names of the certificate, by the function that the authority asks once more. */
function nameDenied(
  { pod, namespace, namespaceAnnotations }: PermissionFacts,
  { credentials, certificate }: InjectionRequest,
  { clusterDomain, authorityUrl }: PermissionSettings,
): Denied | undefined {
  if (certificate === undefined || certificate.dnsNames.length === 0) return undefined
  const expression = namespaceAnnotations?.[PERMITTED_DNS_NAMES]
  const context: NameContext = {
    namespace,
    podName: pod.metadata.name ?? undefined,
    expression,
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
  return `${notOwn}, and ${PERMITTED_DNS_NAMES} is ${shown(expression, permission(expression))}; ${CHANGED_BY}`
}

function shown(expression: string | undefined, permits: Permission): string {
  const is = expression === undefined ? 'not set' : JSON.stringify(expression)
  return permits.valid ? is : `${is} (not a valid RE2 expression: ${permits.why})`
}
