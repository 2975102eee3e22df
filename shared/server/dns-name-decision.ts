import { AUTHORITY } from '../../contract/certificates.ts'
import {
  fillInPod,
  isDnsName,
  isDnsNameTemplate,
  POD_PLACEHOLDER,
} from '../../contract/dns-names.ts'
import { permission } from './permission.ts'

/**
 * - `own`: a name of the pod's namespace or of the pod itself, which needs no permission
 * - `permitted`: matched by the namespace's `permitted-dns-names`
 * - `reserved`: issued to nobody, whatever is permitted
 * - `not-permitted`: anything else
 */
export type NameDecision = 'own' | 'permitted' | 'reserved' | 'not-permitted'

/** Who wants a name, and in which cluster. */
export interface NameContext {
  readonly namespace: string
  /** Undefined where the name is still to be generated. */
  readonly podName: string | undefined
  /** The annotation `permitted-dns-names` of the namespace as it is. */
  readonly expression: string | undefined
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Names of the authority besides those of its Service. */
  readonly authorityNames: readonly string[]
}

/**
 * Decides whether a workload may have a DNS name in its certificate. Webhook and authority both ask
 * this function, so a pod that is admitted is not refused its certificate for its names.
 *
 * `{pod}` as the first label stands for the pod's name; the caller fills it in (fillInPod). As long as
 * the pod has no name, such a name is only ever `own`, for no expression can be asked about it.
 *
 * Own names have two labels at least: a single one resolves to another Service in each namespace.
 * Source: Kubernetes, "DNS for Services and Pods".
 */
export function nameDecision(name: string, context: NameContext): NameDecision {
  const { podName, expression } = context
  const asked = podName === undefined ? name : fillInPod(name, podName)
  if (!isDnsNameTemplate(asked)) return 'not-permitted' // such as one whose pod has too long a name
  if (isReserved(asked, context)) return 'reserved'
  if (isOfService(asked, context) || isOfPod(asked, context)) return 'own'
  if (!isDnsName(asked)) return 'not-permitted'
  const permits = permission(expression)
  return permits.valid && permits.permits(asked) ? 'permitted' : 'not-permitted'
}

/** The names by which a Service of the namespace is reached, from the shortest. */
function formsOf(service: string, namespace: string, clusterDomain: string): readonly string[] {
  const short = `${service}.${namespace}`
  return [short, `${short}.svc`, `${short}.svc.${clusterDomain}`]
}

function isReserved(
  name: string,
  { namespace, clusterDomain, authorityNames }: NameContext,
): boolean {
  const ofApiserver = ['kubernetes', ...formsOf('kubernetes', 'default', clusterDomain)]
  const ofAuthority = formsOf(AUTHORITY.service, AUTHORITY.namespace, clusterDomain)
  const isShort = namespace === AUTHORITY.namespace && name === AUTHORITY.service
  return (
    isAtOrBelow(name, 'localhost') ||
    ofApiserver.includes(name) ||
    isShort ||
    ofAuthority.some((one) => isAtOrBelow(name, one)) ||
    authorityNames.includes(name)
  )
}

function isAtOrBelow(name: string, other: string): boolean {
  return name === other || name.endsWith(`.${other}`)
}

/** Service names begin with a letter; what begins with a digit could be read as an IP address. */
function isOfService(name: string, { namespace, clusterDomain }: NameContext): boolean {
  const [service = ''] = name.split('.', 1)
  return /^[a-z]/.test(service) && formsOf(service, namespace, clusterDomain).includes(name)
}

/** The name of one pod of a headless Service. */
function isOfPod(name: string, context: NameContext): boolean {
  const [pod = ''] = name.split('.', 1)
  if (pod !== (context.podName ?? POD_PLACEHOLDER)) return false
  const ofService = name.slice(pod.length + 1)
  return ofService.split('.').length > 2 && isOfService(ofService, context)
}
