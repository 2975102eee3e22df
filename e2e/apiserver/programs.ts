import { join } from 'node:path'
import { goPrograms, type GoModule } from '../airgap/go-programs.ts'
import { MachineError, type Host } from '../support/host.ts'
import { KUBERNETES, OLDEST_KUBERNETES } from '../versions.ts'

/** Paths of the programs of one version of Kubernetes; `kubectl` is the folder of that, which is of the newest. */
export interface Programs {
  readonly apiserver: string
  readonly etcd: string
  readonly kubectl: string
}

interface Version {
  /** Modules of e2e/tools: the apiserver, and the etcd that it comes with. */
  readonly kubernetes: GoModule
  readonly etcd: GoModule
  /** What it does not know of the kinds and subresources that nocreds or its guard look at. */
  readonly lacks: readonly string[]
}

const ALL: Readonly<Record<string, Version>> = {
  [KUBERNETES]: { kubernetes: 'kubernetes', etcd: 'etcd', lacks: [] },
  [OLDEST_KUBERNETES]: {
    kubernetes: 'kubernetes-1.30',
    etcd: 'etcd-3.5',
    lacks: ['ClusterTrustBundle', 'PodCertificateRequest', 'ResourceClaim', 'pods/resize'],
  },
}

/** The versions that the suite runs on, newest first. */
export const VERSIONS = Object.keys(ALL)

/**
 * One of them.
 *
 * @param version such as v1.37.2, v1.37 or 1.37; default: the newest
 * @throws MachineError for a version that is not among VERSIONS
 */
export function versionOf(version = KUBERNETES): Version {
  const full = VERSIONS.find((one) => `${one}.`.startsWith(`v${version.replace(/^v/, '')}.`))
  const found = ALL[full ?? '']
  if (found === undefined)
    throw new MachineError(`Kubernetes ${version} is not one of ${VERSIONS.join(', ')}`)
  return found
}

/**
 * The programs of a version, built if the cache has none: minutes.
 *
 * @param version as in `versionOf`
 * @throws MachineError for a version that is not among VERSIONS, or without Go
 */
export async function providePrograms(host: Host, version?: string): Promise<Programs> {
  const modules = versionOf(version)
  const newest = await goPrograms(host, 'kubernetes')
  const kubernetes = await goPrograms(host, modules.kubernetes)
  const etcd = await goPrograms(host, modules.etcd)
  return {
    apiserver: join(kubernetes.path, 'kube-apiserver'),
    etcd: join(etcd.path, 'etcd'),
    kubectl: newest.path,
  }
}
