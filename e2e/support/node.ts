import { TOKEN_VOLUME } from '../../contract/names.ts'
import { NODE_CONTAINER } from '../cluster/names.ts'
import type { Host } from './host.ts'
import type { Kubectl } from './kubectl.ts'
import type { Suite } from './suite.ts'
import { waitFor } from './wait.ts'

/** Runs a program on the node. */
export function onNode(host: Host, ...args: readonly string[]): Promise<string> {
  return host.run('docker', ['exec', NODE_CONTAINER, ...args])
}

/**
 * Ends the process of a container with SIGKILL, as running out of memory does; the kubelet restarts it.
 *
 * @param containerId as in a pod's status, `containerd://…`
 */
export async function killContainer(host: Host, containerId: string): Promise<void> {
  const id = containerId.replace('containerd://', '')
  const inspect = ['inspect', '--output', 'go-template', '--template', '{{.info.pid}}', id]
  const pid = Number(await onNode(host, 'crictl', ...inspect))
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`container ${id} has no process`)
  await onNode(host, 'kill', '-KILL', String(pid))
}

/** The id of the one running container of a name, for those whose status cannot be asked for. */
export async function containerNamed(host: Host, name: string): Promise<string> {
  return onNode(host, 'crictl', 'ps', '--quiet', '--state', 'Running', '--name', `^${name}$`)
}

/** Restarts the kubelet; containers keep running. */
export async function restartKubelet(host: Host): Promise<void> {
  await onNode(host, 'systemctl', 'restart', 'kubelet')
}

/** SHA-256 of the token that the kubelet holds ready for a pod's exchanger, in hex. */
export async function tokenDigest(suite: Suite, namespace: string, pod: string): Promise<string> {
  const get = ['pod', pod, '--namespace', namespace]
  const { metadata } = await suite.kubectl.get<{ readonly metadata: { readonly uid: string } }>(get)
  const volumes = `/var/lib/kubelet/pods/${metadata.uid}/volumes/kubernetes.io~projected`
  const file = `${volumes}/${TOKEN_VOLUME.name}/${TOKEN_VOLUME.path}`
  return (await onNode(suite.host, 'sha256sum', file)).slice(0, 64)
}

/** Restarts the container that is the node, and with it the kubelet, the apiserver and every pod. */
export async function restartNode(host: Host): Promise<void> {
  await host.run('docker', ['restart', NODE_CONTAINER])
}

export async function apiserverReady(kubectl: Kubectl): Promise<void> {
  await waitFor('the apiserver to be ready', 180_000, async () =>
    (await kubectl(['get', '--raw', '/readyz'])) === 'ok' ? true : undefined,
  )
}

/** Kills the apiserver, and waits until the one that the kubelet starts in its place is ready. */
export async function restartApiserver(host: Host, kubectl: Kubectl): Promise<void> {
  const before = await containerNamed(host, 'kube-apiserver')
  await killContainer(host, before)
  await waitFor('the apiserver to start again', 120_000, async () => {
    const now = await containerNamed(host, 'kube-apiserver')
    return now === '' || now === before ? undefined : now
  })
  await apiserverReady(kubectl)
}

const APISERVER_MANIFEST = '/etc/kubernetes/manifests/kube-apiserver.yaml'

/** The apiserver sees it, as its own certificates are beside it. */
export const APISERVER_FOLDER = '/etc/kubernetes/pki/admission'

/** Writes files into it. */
export async function writeForApiserver(
  host: Host,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = APISERVER_FOLDER
  await onNode(host, 'mkdir', '-p', folder)
  for (const [name, input] of Object.entries(files)) {
    const write = ['exec', '--interactive', NODE_CONTAINER, 'sh', '-c', `cat > ${folder}/${name}`]
    await host.run('docker', write, { input })
  }
}

/**
 * Restarts the apiserver with one more flag.
 *
 * @returns takes the flag away again
 */
export async function addApiserverFlag(host: Host, flag: string): Promise<() => Promise<void>> {
  const isRunningWithIt = async (): Promise<boolean> => {
    const args = await onNode(host, 'sh', '-c', 'cat /proc/*/cmdline | tr "\\0" "\\n"')
    return args.split('\n').includes(flag)
  }
  const edit = async (script: string, wanted: boolean): Promise<void> => {
    await onNode(host, 'sed', '-i', script, APISERVER_MANIFEST)
    await waitFor(`the apiserver ${wanted ? 'with' : 'without'} ${flag}`, 120_000, async () =>
      (await isRunningWithIt()) === wanted ? true : undefined,
    )
  }
  await edit(`s#^\\( *\\)- kube-apiserver$#&\\n\\1- ${flag}#`, true)
  return () => edit(`\\#- ${flag}$#d`, false)
}

/** The private key by which the cluster signs ServiceAccount tokens, in PEM. */
export function signingKeyPem(host: Host): Promise<string> {
  return onNode(host, 'cat', '/etc/kubernetes/pki/sa.key')
}
