/** At most this many names in one certificate. */
export const MAX_DNS_NAMES = 20

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const DNS_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)

/** True for a host name in lower case, without wildcard. Source: RFC 1123, section 2.1. */
export function isDnsName(text: string): boolean {
  return text.length <= 253 && DNS_NAME.test(text)
}

/** Domain of the cluster's own names, unless configured. Source: Kubernetes, kubelet `clusterDomain`. */
export const DEFAULT_CLUSTER_DOMAIN = 'cluster.local'

/** Placeholder for the name of the pod in a requested name, as the whole first label: `{pod}.web.team-a.svc`. */
export const POD_PLACEHOLDER = '{pod}'

const BEGINS_WITH_POD = `${POD_PLACEHOLDER}.`

/** True for a host name, or one whose whole first label is the placeholder of the pod. */
export function isDnsNameTemplate(text: string): boolean {
  return isDnsName(text.startsWith(BEGINS_WITH_POD) ? fillInPod(text, 'pod') : text)
}

/** The name with the placeholder replaced by the pod's name; the result may not be a valid host name. */
export function fillInPod(name: string, podName: string): string {
  return name.startsWith(BEGINS_WITH_POD) ? podName + name.slice(POD_PLACEHOLDER.length) : name
}
