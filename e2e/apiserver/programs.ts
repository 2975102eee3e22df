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

/** Modules of e2e/tools: of each version the apiserver, and the etcd that it comes with. */
const MODULES: Readonly<
  Record<string, { readonly kubernetes: GoModule; readonly etcd: GoModule }>
> = {
  [KUBERNETES]: { kubernetes: 'kubernetes', etcd: 'etcd' },
  [OLDEST_KUBERNETES]: { kubernetes: 'kubernetes-1.30', etcd: 'etcd-3.5' },
}

/** The versions that the suite runs on, newest first. */
export const VERSIONS = Object.keys(MODULES)

/**
 * The programs of a version, built if the cache has none: minutes.
 *
 * @param version such as v1.37.2, v1.37 or 1.37; default: the newest
 * @throws MachineError for a version that is not among VERSIONS, or without Go
 */
export async function providePrograms(host: Host, version = KUBERNETES): Promise<Programs> {
  const full = VERSIONS.find((one) => `${one}.`.startsWith(`v${version.replace(/^v/, '')}.`))
  const modules = MODULES[full ?? '']
  if (modules === undefined)
    throw new MachineError(`Kubernetes ${version} is not one of ${VERSIONS.join(', ')}`)
  const newest = await goPrograms(host, 'kubernetes')
  const kubernetes = await goPrograms(host, modules.kubernetes)
  const etcd = await goPrograms(host, modules.etcd)
  return {
    apiserver: join(kubernetes.path, 'kube-apiserver'),
    etcd: join(etcd.path, 'etcd'),
    kubectl: newest.path,
  }
}
