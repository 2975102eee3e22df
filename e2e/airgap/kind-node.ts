import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Host } from '../support/host.ts'
import { IMAGES, KUBERNETES } from '../versions.ts'
import { recipeOf, recipeOfFiles, type Made } from './cache.ts'
import { debianRoot } from './debian.ts'
import { goPrograms } from './go-programs.ts'
import { findImage, importImage, runScript, type ImageOptions } from './made-image.ts'

const FOLDER = join(import.meta.dirname, 'kind-node')

/** What the Dockerfile of kind's base image installs, less what only other storage and networks need. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'kmod', 'mount', 'util-linux', 'procps', 'bash', 'jq'],
  ...['iptables', 'nftables', 'conntrack', 'iproute2', 'ethtool', 'socat', 'hostname'],
  ...['runc', 'libseccomp2', 'ca-certificates', 'e2fsprogs'],
]

const IPTABLES = ['iptables', 'iptables-save', 'iptables-restore'].flatMap((name) => [
  name,
  name.replace('ip', 'ip6'),
])

const MODULES = ['kubernetes', 'etcd', 'coredns', 'local', 'containerd', 'crictl', 'cni'] as const

type Parts = Readonly<Record<(typeof MODULES)[number] | 'debian', Made>>

/** Makes the node image of kind, if it is not there: Kubernetes, and everything under it, from source. */
export async function makeKindNode(host: Host): Promise<void> {
  const built = new Map<string, Made>([['debian', await debianRoot(host, 'debian-kind', PACKAGES)]])
  for (const module of MODULES) built.set(module, await goPrograms(host, module))
  const parts = Object.fromEntries(built) as Parts
  const recipes = [...built.values()].map(({ recipe }) => recipe)
  const recipe = recipeOf(await recipeOfFiles(FOLDER), recipes)
  if ((await findImage(host, IMAGES.kindMade))?.recipe === recipe) return
  await host.progress.step(IMAGES.kindMade, () => assemble(host, parts, recipe))
}

async function assemble(host: Host, parts: Parts, recipe: string): Promise<void> {
  const work = await mkdtemp(join(host.cache, 'kind-node.unfinished.'))
  try {
    const images = await controlPlaneImages(host, parts, work)
    const archive = join(work, 'images.tar')
    await host.run('docker', ['save', '--output', archive, ...images])
    const root = join(work, 'root')
    await host.run('cp', ['-a', join(parts.debian.path, 'root'), root])
    const programs = [parts.kubernetes, parts.containerd, parts.crictl, parts.cni]
    const pause = images.find((name) => nameOf(name) === 'pause') ?? ''
    await runScript(host, 'kind-node/assemble.sh', [
      ...[root, await kindFiles(host), programs.map(({ path }) => path).join(':')],
      ...[archive, pause, KUBERNETES],
    ])
    const entrypoint = ['/usr/local/bin/entrypoint', '/sbin/init']
    const env = { container: 'docker' } // systemd asks for it
    await importImage(host, IMAGES.kindMade, { tree: root, recipe, env, entrypoint })
    await host.run('docker', ['image', 'rm', ...images])
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The entrypoint and units of kind's base image, from kind's own source. */
async function kindFiles(host: Host): Promise<string> {
  const cwd = join(import.meta.dirname, '..', 'tools', 'kind')
  const module = 'sigs.k8s.io/kind'
  await host.run('go', ['mod', 'download', module], { cwd })
  const folder = await host.run('go', ['list', '-m', '-f', '{{.Dir}}', module], { cwd })
  return join(folder, 'images', 'base', 'files')
}

/** `kube-proxy` of `…/kube-proxy:v1.37.2` */
function nameOf(image: string): string {
  return basename(image).replace(/:.*$/, '')
}

/** The images that kubeadm of this version asks for, under its names; returns the names. */
async function controlPlaneImages(host: Host, parts: Parts, work: string): Promise<string[]> {
  const kubeadm = join(parts.kubernetes.path, 'kubeadm')
  const list = ['config', 'images', 'list', '--kubernetes-version', KUBERNETES]
  const images = (await host.run(kubeadm, list)).split('\n')
  for (const image of images) {
    const tree = join(work, nameOf(image))
    await mkdir(join(tree, 'tmp'), { recursive: true, mode: 0o777 })
    const options = await fill(host, { image: nameOf(image), tree, parts })
    await importImage(host, image, { tree, recipe: 'part', ...options })
    await rm(tree, { recursive: true })
  }
  return images
}

interface Filling {
  readonly image: string
  readonly tree: string
  readonly parts: Parts
}

/** Puts the program of an image into its tree; returns what else there is to say of the image. */
async function fill(host: Host, { image, tree, parts }: Filling): Promise<ImageOptions> {
  if (image === 'coredns') {
    await cp(join(parts.coredns.path, 'coredns'), join(tree, 'coredns'))
    return { entrypoint: ['/coredns'] }
  }
  if (image === 'pause') {
    await cp(join(parts.local.path, 'pause'), join(tree, 'pause'))
    return { entrypoint: ['/pause'], user: '65535:65535' }
  }
  const { path } = image === 'etcd' ? parts.etcd : parts.kubernetes
  const program = join(tree, 'usr', 'local', 'bin', image)
  await mkdir(dirname(program), { recursive: true })
  await cp(join(path, image), program)
  if (image === 'kube-proxy') await addIptables(host, tree, join(parts.debian.path, 'root'))
  return {}
}

/** kube-proxy runs iptables of the node's flavour, with all its extensions. */
async function addIptables(host: Host, tree: string, debian: string): Promise<void> {
  const folders = await readdir(join(debian, 'usr', 'lib'))
  const library = folders.find((name) => name.endsWith('-linux-gnu')) ?? ''
  const xtables = join('/usr/lib', library, 'xtables')
  const extensions = (await readdir(join(debian, xtables))).filter((name) => name.endsWith('.so'))
  await runScript(host, 'copy-programs.sh', [
    ...[debian, tree, '/usr/sbin/xtables-nft-multi', '/usr/sbin/nft', '/etc/protocols'],
    ...extensions.map((name) => join(xtables, name)),
  ])
  for (const name of IPTABLES) await symlink('xtables-nft-multi', join(tree, 'usr', 'sbin', name))
}
