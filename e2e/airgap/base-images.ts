import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { IMAGES, NODE, NPM } from '../versions.ts'
import { exists, recipeOf } from './cache.ts'
import { debianRoot } from './debian.ts'
import { goPrograms } from './go-programs.ts'
import { findImage, importImage } from './made-image.ts'

/** The certificates that this machine trusts, by Debian's name. */
const CA_FILE = '/etc/ssl/certs/ca-certificates.crt'

/**
 * Node on Debian's essential packages, as Docker's official image has it: the node of the npm package of
 * that name, and npm. Unlike the official one it trusts what this machine trusts and asks the registry
 * that this machine's npm asks, so that `npm ci` works during a build. No login goes in.
 */
export async function makeNodeImage(host: Host): Promise<void> {
  const debian = await debianRoot(host, 'debian-base', [])
  const registry = await host.run('npm', ['config', 'get', 'registry'])
  const recipe = recipeOf(debian.recipe, NODE, NPM, registry, IMAGES.node, 1)
  if ((await findImage(host, IMAGES.node))?.recipe === recipe) return
  await inFolder(host, IMAGES.node, async (work) => {
    const tree = join(work, 'root')
    await host.run('cp', ['-a', join(debian.path, 'root'), tree])
    await addNode(host, work, join(tree, 'usr', 'local'))
    const npmrc = [`registry=${registry}`]
    if (await exists(CA_FILE)) {
      await mkdir(join(tree, 'etc/ssl/certs'), { recursive: true })
      await cp(CA_FILE, join(tree, CA_FILE), { dereference: true })
      npmrc.push(`cafile=${CA_FILE}`)
    }
    await mkdir(join(tree, 'usr/local/etc'), { recursive: true })
    await writeFile(join(tree, 'usr/local/etc/npmrc'), `${npmrc.join('\n')}\n`)
    await importImage(host, IMAGES.node, { tree, recipe, env: { NODE_VERSION: NODE } })
  })
}

/** `node`, `npm` and `npx` below the prefix, from the npm registry. */
async function addNode(host: Host, work: string, prefix: string): Promise<void> {
  const packed = async (name: string, into: string): Promise<void> => {
    const file = await host.run('npm', ['pack', '--silent', '--pack-destination', work, name])
    await mkdir(into, { recursive: true })
    await host.run('tar', ['-xzf', join(work, file), '-C', into, '--strip-components=1'])
  }
  const node = join(work, 'node')
  await packed(`node-linux-${process.arch}@${NODE}`, node)
  await mkdir(join(prefix, 'bin'), { recursive: true })
  await cp(join(node, 'bin', 'node'), join(prefix, 'bin', 'node'))
  await packed(`npm@${NPM}`, join(prefix, 'lib', 'node_modules', 'npm'))
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(prefix, 'bin', name))
}

/** Python 3.11 is Debian's own there. */
export const makePythonImage = (host: Host): Promise<void> =>
  makeDebianImage(host, IMAGES.python, ['python3'])

/** OpenJDK instead of Temurin: builds of the same source. */
export const makeJavaImage = (host: Host): Promise<void> =>
  makeDebianImage(host, IMAGES.java, ['openjdk-17-jre-headless'])

/** Debian's essential packages, and those named. */
async function makeDebianImage(
  host: Host,
  image: string,
  packages: readonly string[],
): Promise<void> {
  const name = `debian-${image.split(':')[0] ?? ''}`
  const { path, recipe } = await debianRoot(host, name, packages)
  if ((await findImage(host, image))?.recipe === recipe) return
  await host.progress.step(image, () =>
    importImage(host, image, { tree: join(path, 'root'), recipe }),
  )
}

/** versitygw, which takes the same arguments as the published image does. */
export async function makeVersitygwImage(host: Host): Promise<void> {
  const { path, recipe } = await goPrograms(host, 'versitygw')
  if ((await findImage(host, IMAGES.versitygw))?.recipe === recipe) return
  await inFolder(host, IMAGES.versitygw, async (work) => {
    const bin = join(work, 'root', 'usr', 'local', 'bin')
    await mkdir(bin, { recursive: true })
    await mkdir(join(work, 'root', 'tmp'), { mode: 0o777 })
    await cp(join(path, 'versitygw'), join(bin, 'versitygw'))
    const entrypoint = ['/usr/local/bin/versitygw']
    await importImage(host, IMAGES.versitygw, { tree: join(work, 'root'), recipe, entrypoint })
  })
}

async function inFolder(host: Host, what: string, make: (work: string) => Promise<void>) {
  const work = await mkdtemp(join(host.cache, 'image.unfinished.'))
  try {
    await host.progress.step(what, () => make(work))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
