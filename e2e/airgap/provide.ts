import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { IMAGES } from '../versions.ts'
import { makeJavaImage, makeNodeImage, makePythonImage, makeVersitygwImage } from './base-images.ts'
import { needDebian } from './debian.ts'
import { makeKindNode } from './kind-node.ts'
import { findImage } from './made-image.ts'

const PULL_TIMEOUT_MS = 600_000

interface Provision {
  /** Pulled under this name … */
  readonly published: string
  /** … or made under this one. */
  readonly made: string
  readonly make: (host: Host) => Promise<void>
}

const KIND_NODE = { published: IMAGES.kindPublished, made: IMAGES.kindMade, make: makeKindNode }
const BASES_OF_THE_MATRIX: readonly Provision[] = [
  { published: IMAGES.python, made: IMAGES.python, make: makePythonImage },
  { published: IMAGES.java, made: IMAGES.java, make: makeJavaImage },
]
const OTHERS: readonly Provision[] = [
  { published: IMAGES.node, made: IMAGES.node, make: makeNodeImage },
  { published: IMAGES.versitygw, made: IMAGES.versitygw, make: makeVersitygwImage },
]

/**
 * Sees to it that the engine has every image that the suite starts from: those that are there are taken,
 * those that a registry has are pulled, and the rest is made.
 *
 * @returns the node image to create the cluster from
 * @throws MachineError if an image can neither be pulled nor made
 */
export async function provideImages(host: Host): Promise<string> {
  await removeUnfinished(host)
  const nodeImage = await provide(host, KIND_NODE)
  for (const other of OTHERS) await provide(host, other)
  return nodeImage
}

/** The same for what only the SDK matrix starts from. */
export async function provideMatrixBases(host: Host): Promise<void> {
  for (const base of BASES_OF_THE_MATRIX) await provide(host, base)
}

async function provide(host: Host, { published, made, make }: Provision): Promise<string> {
  if ((await findImage(host, published))?.recipe === '') return published
  if ((await findImage(host, made)) === undefined && (await pull(host, published))) return published
  await needDebian(host, `${published} cannot be pulled`)
  await make(host)
  return made
}

async function pull(host: Host, image: string): Promise<boolean> {
  if (host.env['NOCREDS_E2E_AIRGAP'] === '1') return false
  const options = { timeoutMs: PULL_TIMEOUT_MS }
  const pulled = await host.tryRun('docker', ['pull', '--quiet', image], options)
  host.progress.say(`${image}: ${pulled === undefined ? 'no registry has it' : 'pulled'}`)
  return pulled !== undefined
}

/** What an interrupted run left. */
async function removeUnfinished({ cache }: Host): Promise<void> {
  for (const entry of await readdir(cache)) {
    if (entry.includes('.unfinished'))
      await rm(join(cache, entry), { recursive: true, force: true })
  }
}
