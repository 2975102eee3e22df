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
 * - `reserved`: never issued, whatever is permitted
 * - `not-permitted`: anything else
 */
export type NameDecision = 'own' | 'permitted' | 'reserved' | 'not-permitted'

/** The workload that requests a name, and its cluster. */
export interface NameContext {
  readonly namespace: string
  /** Undefined if the name is not generated yet. */
  readonly podName: string | undefined
  /** The annotation `permitted-dns-names` of the namespace, unchanged. */
  readonly expression: string | undefined
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Names of the authority in addition to those of its Service. */
  readonly authorityNames: readonly string[]
}

/**
 * Decides whether a workload may have a DNS name in its certificate. Webhook and authority both
 * use this function, so an admitted pod is not refused its certificate because of its names.
 *
 * `{pod}` as the first label stands for the pod's name, which is filled in (fillInPod). As long as the pod has no name,
 * such a name is at most `own`, because no expression can be matched with it.
 *
 * Own names have at least two labels: a single label resolves to a different Service in each namespace.
 * Source: Kubernetes, "DNS for Services and Pods".
 */
export function nameDecision(name: string, context: NameContext): NameDecision {
  const { podName, expression } = context
  const requested = podName === undefined ? name : fillInPod(name, podName)
  if (!isDnsNameTemplate(requested)) return 'not-permitted' // for example, if the pod's name is too long
  if (isReserved(requested, context)) return 'reserved'
  if (isOfService(requested, context) || isOfPod(requested, context)) return 'own'
  if (!isDnsName(requested)) return 'not-permitted'
  const permits = permission(expression)
  return permits.valid && permits.permits(requested) ? 'permitted' : 'not-permitted'
}

/** The names of a Service of the namespace, from the shortest. */
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

/** Service names begin with a letter; a name that begins with a digit could be taken for an IP address. */
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
