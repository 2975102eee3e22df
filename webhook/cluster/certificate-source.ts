import type { CertificateSource } from '../../contract/certificate-source.ts'
import { sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import type { KubeClient, KubeObject } from '../../shared/server/kube/kube-client.ts'
import { isServed } from '../../shared/server/kube/served.ts'
import type { TrustBundleSource } from '../admit/inject/injection.ts'

/** Between two requests to an apiserver that does not answer. */
const RETRY_MS = 2000

const NODES = '/api/v1/nodes'

/** Nodes in one page of a list; their objects are large, and only the version is kept. */
const PAGE = 100

/** An older kubelet whose gate is off never starts a pod with such a volume. */
const OLDEST_KUBELET = { major: 1, minor: 37 } as const

interface SourceDeps {
  /** Undefined in standalone mode. */
  readonly kube: KubeClient | undefined
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Where certificates come from. `auto` asks the apiserver until it answers: after a guess, pods of one
 * cluster could have certificates from two sources.
 */
export async function findCertificateSource(
  wanted: CertificateSource | 'auto',
  deps: SourceDeps,
): Promise<CertificateSource> {
  if (wanted !== 'auto') return wanted
  const usable = await isUsable('podcertificaterequests', deps)
  return usable ? 'pod-certificate' : 'authority'
}

/** From which object volumes take the trust bundle; `auto` works as {@link findCertificateSource} does. */
export async function findTrustBundle(
  wanted: TrustBundleSource | 'auto',
  deps: SourceDeps,
): Promise<TrustBundleSource> {
  if (wanted !== 'auto') return wanted
  const usable = await isUsable('clustertrustbundles', deps)
  return usable ? 'cluster-trust-bundle' : 'config-map'
}

/** True if pods can use what needs this resource: the apiserver serves it and every kubelet knows it. */
async function isUsable(resource: string, { kube, clock, log }: SourceDeps): Promise<boolean> {
  if (kube === undefined) return false
  for (;;) {
    try {
      const why = await whyNotUsable(resource, kube)
      log.info({ resource, used: why === undefined, why }, 'cluster capability checked')
      return why === undefined
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'check of API groups and nodes failed')
      await sleep(clock, RETRY_MS)
    }
  }
}

async function whyNotUsable(resource: string, kube: KubeClient): Promise<string | undefined> {
  if (!(await isServed(kube, resource))) return 'the apiserver does not serve it'
  const node = await findOldNode(kube)
  if (node === undefined) return undefined
  const { major, minor } = OLDEST_KUBELET
  return `node ${node.name} has kubelet ${node.version}, older than ${major}.${minor}`
}

interface OldNode {
  readonly name: string
  readonly version: string
}

/** The first node whose kubelet is too old, or whose version is unknown. */
async function findOldNode(kube: KubeClient): Promise<OldNode | undefined> {
  let query: Record<string, string> = { limit: String(PAGE) }
  for (;;) {
    const { items, metadata } = await kube.list(NODES, query)
    for (const node of items ?? []) {
      const version = versionOf(node)
      if (!isNewEnough(version)) return { name: node.metadata.name ?? '', version }
    }
    if (!metadata.continue) return undefined
    query = { limit: String(PAGE), continue: metadata.continue }
  }
}

function versionOf(node: KubeObject): string {
  const { nodeInfo } = (node['status'] ?? {}) as { nodeInfo?: { kubeletVersion?: unknown } }
  const version = nodeInfo?.kubeletVersion
  return typeof version === 'string' ? version : 'unknown'
}

/** Such as `v1.37.2-eks-1`. A pre-release of 1.37 has the gate as 1.37 has it. */
function isNewEnough(version: string): boolean {
  const [, major, minor] = /^v(\d{1,3})\.(\d{1,4})(?:\.|$)/.exec(version) ?? []
  if (major === undefined || minor === undefined) return false
  return Number(major) === OLDEST_KUBELET.major
    ? Number(minor) >= OLDEST_KUBELET.minor
    : Number(major) > OLDEST_KUBELET.major
}
