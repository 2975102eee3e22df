/** The part about the driver: one for the node, that pods take instead of a sidecar. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { DRIVER_VOLUME } from '../../contract/driver-volume.ts'
import { CREDENTIALS_FILES, CREDENTIALS_VOLUME, CSI_DRIVER } from '../../contract/names.ts'
import type { Pod as PodOfNode } from '../../driver/pod-tokens.ts'
import { realClock } from '../../shared/base/clock.ts'
import {
  makeKubeletFolders,
  startDriverKubelet,
  type DriverKubelet,
} from '../../test/fakes/driver-kubelet.ts'
import { uidOf } from '../../test/fakes/issuer.ts'
import { startContainer } from '../../test/fakes/kubelet-containers.ts'
import { identityOf } from '../../test/fakes/kubelet-pod.ts'
import type { PreparedPod } from '../../test/fakes/kubelet-volumes.ts'
import { bundle } from '../build/programs.ts'
import type { Environment } from './environment.ts'
import { follow, IMAGE_ROOT, type PodRun } from './pod-run.ts'
import type { Pod } from './pod.ts'
import { endsWithDemo, stopProgram } from './program.ts'
import { say } from './show.ts'

const AUDIENCE = 'sts.amazonaws.com'

export interface Node {
  /** The driver's, on which the kubelet calls. */
  readonly socket: string
  /** What a kubelet does at the start of a pod: it makes folders, and publishes the volume. @throws the gRPC error */
  run(pod: Pod): Promise<PodRun>
  close(): Promise<void>
}

/**
 * The driver as a process, and the kubelet that calls it on its sockets. It is that of the tests, which need not be root
 * and takes a folder for an emptyDir in memory.
 */
export async function startNode(environment: Environment, folder: string): Promise<Node> {
  const root = join(folder, 'kubelet')
  const program = join(folder, 'driver.mjs')
  await Promise.all([
    bundle('test/fakes/driver-main.ts', program),
    makeKubeletFolders(root, CSI_DRIVER),
  ])
  const kubelet = startDriverKubelet({ folder: root, driver: CSI_DRIVER, release: '1.37' })
  const words = [
    ...[program, '--node', 'demo', '--kubelet-folder', root, '--metrics-port', '0'],
    ...['--sts-endpoint', environment.sts.url, '--sts-http', 'accepted'],
  ]
  const stdio: StdioOptions = ['ignore', 'ignore', 'inherit']
  const driver = endsWithDemo(spawn(process.execPath, words, { env: {}, stdio }))
  await registered(kubelet, driver)
  return {
    socket: kubelet.sockets.csi,
    run: (pod) => runOnNode(pod, { environment, kubelet, folder }),
    close: () => stopProgram(driver),
  }
}

async function registered(kubelet: DriverKubelet, driver: ChildProcess): Promise<void> {
  const ended = once(driver, 'exit').then(() => {
    throw new Error('the driver ended before the kubelet had registered it')
  })
  ended.catch(() => undefined) // it ends with the demo
  await Promise.race([kubelet.register(), ended])
}

interface NodeParts {
  readonly environment: Environment
  readonly kubelet: DriverKubelet
  readonly folder: string
}

async function runOnNode(pod: Pod, { environment, kubelet, folder }: NodeParts): Promise<PodRun> {
  const { name, namespace, serviceAccount } = identityOf(pod)
  const uid = uidOf('pod', `${namespace}/${name}`)
  const onNode: PodOfNode = { uid, name, namespace, serviceAccount }
  const volume = DRIVER_VOLUME.name
  const publish = async (): Promise<void> => {
    const request = { namespace, serviceAccount, pod: name, audience: AUDIENCE }
    const token = await environment.issuer.mintToken({ ...request, expiresInSeconds: 3600 })
    const tokens = { [AUDIENCE]: token }
    await kubelet.publish(onNode, { volume, attributes: attributesOf(pod), tokens })
  }
  await kubelet.preparePod(onNode, { emptyDir: CREDENTIALS_VOLUME.name, csi: volume })
  await publish()
  const own = join(folder, name)
  await mkdir(own)
  const credentials = join(
    kubelet.podsFolder,
    uid,
    'volumes/kubernetes.io~empty-dir',
    CREDENTIALS_VOLUME.name,
  )
  let isClosed = false
  const prepared: PreparedPod = {
    pod,
    folder: own,
    clock: realClock,
    volumes: new Map([[CREDENTIALS_VOLUME.name, credentials]]),
    rotateToken: publish,
    async close() {
      if (isClosed) return
      isClosed = true
      await kubelet.unpublish(onNode, volume)
      await kubelet.removePod(onNode)
    },
  }
  const imageRoot = { ...IMAGE_ROOT, ...(await configHere(credentials, own)) }
  const path = process.env['PATH'] ?? ''
  return {
    prepared,
    sidecar: undefined,
    async start(container) {
      const started = await startContainer({ prepared, container, imageRoot, path })
      endsWithDemo(started.process)
      return started
    },
    close: () => prepared.close(),
  }
}

/** What the webhook wrote into the pod for the driver. */
function attributesOf(pod: Pod): Readonly<Record<string, string>> {
  const found = pod.spec.volumes?.find(({ name }) => name === DRIVER_VOLUME.name)
  const { csi } = (found ?? {}) as {
    readonly csi?: { readonly volumeAttributes: Readonly<Record<string, string>> }
  }
  if (csi === undefined) throw new Error('the pod has no volume of the driver')
  return csi.volumeAttributes
}

/** The config file names the document by its path in the pod, and a process here has no mount of its own there. */
async function configHere(volume: string, own: string): Promise<Readonly<Record<string, string>>> {
  const { mountPath } = CREDENTIALS_VOLUME
  const config = await readFile(join(volume, CREDENTIALS_FILES.config), 'utf8')
  const here = join(own, CREDENTIALS_FILES.config)
  await writeFile(here, config.replaceAll(mountPath, volume))
  return { [`${mountPath}/${CREDENTIALS_FILES.config}`]: here }
}

/** Pods of one ServiceAccount: what they have in their volumes, of one exchange. */
export async function showShared({ sts }: Environment, runs: readonly PodRun[]): Promise<void> {
  for (const { prepared } of runs) {
    const { name } = identityOf(prepared.pod)
    const files = await readdir(prepared.volumes.get(CREDENTIALS_VOLUME.name) ?? '')
    say(`published: ${files.toSorted().join(', ')} in ${CREDENTIALS_VOLUME.mountPath}`, name)
  }
  const count = sts.calls.filter(({ action }) => action === 'AssumeRoleWithWebIdentity').length
  if (count !== 1) throw new Error(`${runs.length} pods made ${count} exchanges instead of one`)
  say(`${runs.length} pods on the node, 1 exchange at STS`)
}

/** The app of the first pod starts at once, and ends once it has used three sets of credentials; then all are deleted. */
export async function watchDriver(runs: readonly PodRun[]): Promise<void> {
  const [first] = runs
  if (first === undefined) throw new Error('no pod runs on the node')
  const app = await first.start('app')
  follow(app, 'driver')
  await first.prepared.rotateToken()
  say('the kubelet has published the volume again, with a new token', 'driver')
  const { code } = await app.exited
  if (code !== 0) throw new Error(`driver: the app ended with ${String(code)}`)
  for (const run of runs) await run.close()
}

interface Answer {
  readonly code?: status
  readonly details?: string
}

/** A pod whose role trusts somebody else does not start. */
export async function showFailedMount(pod: Pod, node: Node): Promise<void> {
  const { code, details = 'the pod has started' } = await node.run(pod).then(
    (): Answer => ({}),
    (error: unknown) => error as Answer,
  )
  if (code !== status.INTERNAL || !details.startsWith('AccessDenied: ')) {
    throw new Error(`the driver: ${details}`)
  }
  say('kubectl describe pod, with the driver:')
  const event = `MountVolume.SetUp failed for volume "${DRIVER_VOLUME.name}"`
  say(`  Warning  FailedMount  ${event} : rpc error: code = Internal desc = ${details}`)
}
