import { sidecarTasks, type Injection } from '../inject/injection.ts'
import type { Pod } from '../pod.ts'

/** Without the cluster's DNS the exchanger cannot resolve the name of a Service. */
export function dnsWarnings({ spec }: Pod, injection: Injection): string[] {
  const why = whyNoClusterDns(spec)
  if (why === undefined) return []
  const tasks = sidecarTasks(injection)
  return [tasks?.certificate && injection.authorityUrl, tasks?.credentials && injection.stsEndpoint]
    .flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]))
    .filter((host) => /[.]svc(?:[.]|$)/.test(host) && !isAliased(spec, host))
    .map((host) => `nocreds: the exchanger calls ${host}, but ${why}`)
}

/** Source: Kubernetes, "Pod's DNS Policy". */
function whyNoClusterDns({ dnsPolicy, hostNetwork }: Pod['spec']): string | undefined {
  const policy = dnsPolicy ?? 'ClusterFirst'
  if (policy === 'None') {
    return "the pod brings its own DNS (dnsPolicy None); its dnsConfig must name the cluster's DNS, or the pod does not start"
  }
  const isOfHost = hostNetwork === true
  if (policy !== 'Default' && !(policy === 'ClusterFirst' && isOfHost)) return undefined
  const [how, instead] = isOfHost
    ? ['hostNetwork with ', 'ClusterFirstWithHostNet']
    : ['', 'ClusterFirst']
  return `the pod uses its node's DNS (${how}dnsPolicy ${policy}), which does not know that name, so the pod does not start; set dnsPolicy: ${instead}`
}

/** True if `hostAliases` has the host, so that no DNS is needed. */
function isAliased(spec: Pod['spec'], host: string): boolean {
  return JSON.stringify(spec['hostAliases'] ?? []).includes(`"${host}"`)
}
