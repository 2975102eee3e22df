import { join } from 'node:path'
import { cached, recipeOf } from '../airgap/cache.ts'
import { goPrograms } from '../airgap/go-programs.ts'
import type { Host } from '../support/host.ts'
import { KIND } from '../versions.ts'

/** The host with the pinned kind first on its PATH: one that is installed, else built from source. */
export async function withKind(host: Host): Promise<Host> {
  const version = await host.tryRun('kind', ['version'])
  if (version?.includes(`${KIND} `) === true) return host
  return host.with({ PATH: (await goPrograms(host, 'kind')).path })
}

/** The host with the node image's own kubectl first on its PATH, so that versions agree. */
export async function withKubectl(host: Host, nodeImage: string): Promise<Host> {
  const recipe = recipeOf(
    await host.run('docker', ['image', 'inspect', '-f', '{{.Id}}', nodeImage]),
  )
  const { path } = await cached(host, 'kubectl', recipe, async (folder) => {
    const container = await host.run('docker', ['create', nodeImage])
    try {
      await host.run('docker', ['cp', `${container}:/usr/bin/kubectl`, join(folder, 'kubectl')])
    } finally {
      await host.run('docker', ['rm', '--volumes', container])
    }
  })
  return host.with({ PATH: path })
}
