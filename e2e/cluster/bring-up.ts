import { readdir } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { withEngine } from '../airgap/engine.ts'
import { provideImages } from '../airgap/provide.ts'
import { CommandError } from '../support/command.ts'
import { MachineError, needDisk, type Host } from '../support/host.ts'
import { startAws } from './aws.ts'
import { buildAndLoadImages } from './images.ts'
import { installNocreds } from './install.ts'
import { CLUSTER, kubeconfigOf, NODE_CONTAINER } from './names.ts'
import { withKind, withKubectl } from './programs.ts'

/** How much of the machine's memory the node may take. */
const NODE_MEMORY_SHARE = 0.75

/** Sources, file systems and images together; and what a run needs once they are there. */
const DISK_GIGABYTES = { cold: 15, warm: 5 }

/**
 * Brings up the cluster of the suite with STS, S3 and nocreds.
 *
 * @param onCluster told as soon as there is a cluster to look into or to delete
 * @returns the host whose kubectl and docker reach it
 * @throws MachineError if the machine lacks something; nothing is left of the attempt but the cache
 */
export async function bringUp(host: Host, onCluster: (host: Host) => void): Promise<Host> {
  await needDisk(host, 1)
  const isWarm = (await readdir(host.cache)).length > 0
  await needDisk(host, isWarm ? DISK_GIGABYTES.warm : DISK_GIGABYTES.cold)
  // A cluster whose engine was killed is of no use to anybody.
  const engine = await withEngine(host, deleteCluster)
  await needNoCluster(engine)
  const nodeImage = await provideImages(engine)
  const kind = await withKind(await withKubectl(engine, nodeImage))
  const ready = kind.with({ KUBECONFIG: kubeconfigOf(host) })
  onCluster(ready)
  await ready.progress.step(`kind cluster ${CLUSTER}`, () => createCluster(ready, nodeImage))
  await buildAndLoadImages(ready)
  await ready.progress.step('STS, IAM and S3', () => startAws(ready))
  await ready.progress.step('nocreds', () => installNocreds(ready))
  return ready
}

export async function hasCluster(host: Host): Promise<boolean> {
  return (await containersOf(host)).length > 0
}

async function needNoCluster(host: Host): Promise<void> {
  if (await hasCluster(host))
    throw new MachineError(
      `a kind cluster ${CLUSTER} is already there; remove it with: npm run e2e-down`,
    )
}

async function createCluster(host: Host, nodeImage: string): Promise<void> {
  const config = ['--config', join(import.meta.dirname, 'kind.yaml'), '--image', nodeImage]
  const flags = ['--name', CLUSTER, '--kubeconfig', kubeconfigOf(host), '--wait', '180s']
  try {
    await host.run('kind', ['create', 'cluster', ...flags, ...config])
  } catch (error) {
    if (error instanceof CommandError && error.output.includes('unable to apply caps'))
      throw new MachineError(
        'the Docker engine cannot start privileged containers, as this machine lacks a capability; stop it, and one that can is started',
      )
    throw error
  }
  // A pod that runs wild is to end, not the machine.
  const memory = String(Math.floor(totalmem() * NODE_MEMORY_SHARE))
  await host.run('docker', ['update', '--memory', memory, '--memory-swap', memory, NODE_CONTAINER])
}

/** The containers that are the cluster's nodes. */
async function containersOf(host: Host): Promise<string[]> {
  const filter = `label=io.x-k8s.kind.cluster=${CLUSTER}`
  const ids = await host.run('docker', ['ps', '--all', '--quiet', '--filter', filter])
  return ids === '' ? [] : ids.split('\n')
}

/** Deletes the cluster with everything in it, as `kind delete cluster` does; no error if there is none. */
export async function deleteCluster(host: Host): Promise<void> {
  const containers = await containersOf(host)
  if (containers.length > 0) await host.run('docker', ['rm', '--force', '--volumes', ...containers])
}
