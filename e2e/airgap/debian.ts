import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeIfPresent } from '../../shared/base/files.ts'
import { MachineError, type Host } from '../support/host.ts'
import { DEBIAN } from '../versions.ts'
import { cached, exists, recipeOf, type Made } from './cache.ts'

/** Debian's maintainer scripts ask this program before they start a service: 101 means no. */
const POLICY = '/usr/sbin/policy-rc.d'

/** @throws MachineError unless packages can be installed; `wanted` says what for */
export async function needDebian(host: Host, wanted: string): Promise<void> {
  if ((await host.tryRun('apt-get', ['--version'])) === undefined)
    throw new MachineError(`${wanted}; it can be made here only on Debian, and there is no apt-get`)
  if (!host.isRoot) throw new MachineError(`${wanted}; it can be made here only by root`)
}

/** Installs what is missing of the packages, and starts none of their services. */
export async function installPackages(host: Host, packages: readonly string[]): Promise<void> {
  const wanted = ['-W', '--showformat=${db:Status-Status}\n', ...packages]
  const present = await host.tryRun('dpkg-query', wanted)
  if (present?.split('\n').every((status) => status === 'installed') === true) return
  await host.progress.step(`Debian packages ${packages.join(', ')}`, async () => {
    const isOwn = !(await exists(POLICY))
    if (isOwn) await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    try {
      const apt = host.with({ DEBIAN_FRONTEND: 'noninteractive' })
      await apt.run('apt-get', ['update', '-qq'])
      await apt.run('apt-get', ['install', '-qq', '-y', '--no-install-recommends', ...packages])
    } finally {
      if (isOwn) await removeIfPresent(POLICY)
    }
  })
}

/** The mirror that this machine itself installs from. */
async function mirrorOf(host: Host): Promise<string> {
  const format = [
    'indextargets',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
    'Label: Debian',
  ]
  const [mirror] = ((await host.tryRun('apt-get', format)) ?? '').split('\n')
  if (mirror === undefined || mirror === '')
    throw new MachineError('no Debian mirror in the sources of apt; add one and run apt-get update')
  return mirror
}

/** A file system of Debian in the folder `root`: the essential packages, and those named. */
export async function debianRoot(
  host: Host,
  name: string,
  packages: readonly string[],
): Promise<Made> {
  return cached(host, name, recipeOf(DEBIAN, packages), async (folder) => {
    await installPackages(host, ['debootstrap', 'debian-archive-keyring'])
    const root = join(folder, 'root')
    const include = packages.length === 0 ? [] : [`--include=${packages.join(',')}`]
    const from = [DEBIAN, root, await mirrorOf(host)]
    await host.run('debootstrap', ['--variant=minbase', ...include, ...from], {
      timeoutMs: 1_800_000,
    })
  })
}
