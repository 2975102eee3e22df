import type { KubeClient } from './kube-client.ts'

/** API group and version of certificate requests and of trust bundles. */
export const CERTIFICATES_API = '/apis/certificates.k8s.io/v1'

/** Interval of discovery: an upgraded cluster may serve a new resource. */
export const PROBE_MS = 180_000
export const PROBE_RETRY_MS = 5000

/** True if the apiserver serves that resource of {@link CERTIFICATES_API}. @throws KubeError */
export async function isServed(kube: KubeClient, resource: string): Promise<boolean> {
  const resources = (await kube.get(CERTIFICATES_API))?.['resources']
  if (!Array.isArray(resources)) return false
  return (resources as readonly { readonly name?: unknown }[]).some(({ name }) => name === resource)
}
