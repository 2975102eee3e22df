/** The version before this one, from the repository's own history: what an operator upgrades from. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { cached, recipeOf } from '../airgap/cache.ts'
import { findEngine } from '../airgap/engine.ts'
import { findImage, RECIPE_LABEL } from '../airgap/made-image.ts'
import { MachineError, type Host } from '../support/host.ts'
import { FORMER, IMAGES, REPOSITORY } from '../versions.ts'
import { BUILD_FLAGS, dockerBuild, withBuilder } from './images.ts'
import { withSts } from './install.ts'
import { ARTIFACTS, CLUSTER } from './names.ts'
import { withKind } from './programs.ts'

/** It had no driver. */
const TARGETS = ['webhook', 'authority', 'exchanger'] as const

/** install.yaml of the former version as it is applied: with the STS of the suite, and images of names of their own. */
export const FORMER_INSTALL = join(ARTIFACTS, 'install-former.yaml')

interface Deployment {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly [{ args?: string[] }] } }
  }
}

/**
 * Sees to it that the node has the images of the former version, and writes `FORMER_INSTALL`.
 *
 * @param flags of a Deployment by its name, besides those of the manifest
 * @throws MachineError if its commit can neither be found nor fetched
 */
export async function provideFormer(
  host: Host,
  flags: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const source = await formerSource(host)
  await buildAndLoad(host, source)
  let manifest = await readFile(join(source, 'manifests', 'install.yaml'), 'utf8')
  for (const target of TARGETS) {
    const published = `nocreds/${target}:${FORMER.version}`
    if (!manifest.includes(published))
      throw new Error(`install.yaml of ${FORMER.commit} does not name ${published}`)
    manifest = manifest.replaceAll(published, FORMER.images[target])
  }
  const objects = parseAllDocuments(withSts(manifest)).map((one) => one.toJS() as Deployment)
  for (const [name, wanted] of Object.entries(flags)) {
    const deployment = objects.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === name,
    )
    if (deployment === undefined) throw new Error(`there is no Deployment ${name}`)
    const [container] = deployment.spec.template.spec.containers
    container.args = [...(container.args ?? []), ...wanted]
  }
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(FORMER_INSTALL, objects.map((object) => stringify(object)).join('---\n'))
}

/** The checkout as it was, in the cache. */
async function formerSource(host: Host): Promise<string> {
  const { commit } = FORMER
  const git = (...args: string[]): [string, string[]] => ['git', ['-C', REPOSITORY, ...args]]
  const { path } = await cached(host, 'former-source', recipeOf(commit), async (folder) => {
    const isThere = git('cat-file', '-e', `${commit}^{commit}`)
    // A server gives a shallow clone any commit that a branch leads to.
    if ((await host.tryRun(...isThere)) === undefined)
      await host.tryRun(...git('fetch', '--quiet', '--depth=1', 'origin', commit))
    if ((await host.tryRun(...isThere)) === undefined)
      throw new MachineError(
        `this checkout lacks commit ${commit}, from which an upgrade is tested; get its history with: git fetch --unshallow`,
      )
    const archive = `${folder}.tar`
    await host.run(...git('archive', '--format=tar', '--output', archive, commit))
    await host.run('tar', ['-xf', archive, '-C', folder])
    await rm(archive)
  })
  return path
}

async function buildAndLoad(host: Host, source: string): Promise<void> {
  const engine = await findEngine(host)
  if (engine === undefined) throw new MachineError('no Docker engine answers')
  const docker = await withBuilder(engine)
  const base = await docker.run('docker', ['image', 'inspect', '--format={{.Id}}', IMAGES.node])
  const recipe = recipeOf(FORMER.commit, base)
  for (const target of TARGETS) {
    const image = FORMER.images[target]
    if ((await findImage(docker, image))?.recipe === recipe) continue
    const label = ['--label', `${RECIPE_LABEL}=${recipe}`]
    const flags = [...BUILD_FLAGS, '--target', target, '--tag', image, ...label]
    await docker.progress.step(`docker build of ${image}`, () => dockerBuild(docker, source, flags))
  }
  const kind = await withKind(engine)
  const images = TARGETS.map((target) => FORMER.images[target])
  await kind.progress.step('images of the former version to the node', () =>
    kind.run('kind', ['load', 'docker-image', '--name', CLUSTER, ...images]),
  )
}
