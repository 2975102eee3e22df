import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { KUBERNETES, OLDEST_KUBERNETES } from '../versions.ts'
import { cached, recipeOf, recipeOfFiles, type Made } from './cache.ts'
import { withGo } from './host-tools.ts'

const TOOLS = join(import.meta.dirname, '..', 'tools')

interface Recipe {
  /** What `go build` is asked for: `tool` is every tool line of go.mod. */
  readonly packages: string
  readonly ldflags?: string
  readonly tags?: string
  /** Programs that Go names after their module's version folder. */
  readonly renamed?: Readonly<Record<string, string>>
}

/** kubeadm and kubelet compare versions with each other; without these flags they have none. */
function kubernetesVersion(version: string): string {
  const [major = '', minor = ''] = version.replace('v', '').split('.')
  const variables = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
  }
  return Object.entries(variables)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(' ')
}

/** Each folder of e2e/tools is a Go module of its own: their dependencies do not agree. */
const RECIPES = {
  local: { packages: './...' },
  kind: { packages: 'tool' },
  versitygw: { packages: 'tool' },
  cni: { packages: 'tool' },
  crictl: { packages: 'tool' },
  etcd: { packages: 'tool', renamed: { server: 'etcd' } },
  coredns: { packages: '.' },
  containerd: {
    packages: 'tool',
    tags: 'no_btrfs,no_devmapper,no_zfs,no_aufs',
    ldflags: '-X github.com/containerd/containerd/v2/version.Version=v2.3.4',
  },
  kubernetes: { packages: 'tool', ldflags: kubernetesVersion(KUBERNETES) },
  // For the apiserver alone, see e2e/apiserver.
  'kubernetes-1.30': { packages: 'tool', ldflags: kubernetesVersion(OLDEST_KUBERNETES) },
  'etcd-3.5': { packages: 'tool', renamed: { server: 'etcd' } },
} satisfies Readonly<Record<string, Recipe>>

export type GoModule = keyof typeof RECIPES

/** Kubernetes alone takes a quarter of an hour on two cores. */
const BUILD_TIMEOUT_MS = 3_600_000

/**
 * A folder with the static programs of one of the modules in e2e/tools, whose go.sum pins every source.
 *
 * @throws MachineError if there is no Go and none can be installed
 */
export async function goPrograms(host: Host, module: GoModule): Promise<Made> {
  const recipe: Recipe = RECIPES[module]
  const { packages, ldflags = '', tags = '', renamed = {} } = recipe
  const folder = join(TOOLS, module)
  const hash = recipeOf(await recipeOfFiles(folder), recipe)
  return cached(host, `go-${module}`, hash, async (path) => {
    const builder = await withGo(host, module)
    const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-tags', tags]
    await builder
      .with({ CGO_ENABLED: '0' })
      .run('go', ['build', ...flags, '-ldflags', `-s -w ${ldflags}`, '-o', `${path}/`, packages], {
        cwd: folder,
        timeoutMs: BUILD_TIMEOUT_MS,
      })
    for (const [from, to] of Object.entries(renamed)) await rename(join(path, from), join(path, to))
  })
}
