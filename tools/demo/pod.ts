/** The pod of the demo, as its developer wrote it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { KubeletContainer, KubeletPod } from '../../test/fakes/kubelet-pod.ts'

export type Pod = KubeletPod & { readonly [field: string]: unknown }

interface PodOptions {
  readonly delivery?: string
  readonly exchanger?: string
  readonly stsUrl: string
}

/** For a ServiceAccount, and with a delivery or an exchanger if it asks for one; it is told where the AWS of the demo is. */
export function podFor(name: string, serviceAccount: string, options: PodOptions): Promise<Pod> {
  const { delivery, exchanger, stsUrl } = options
  const annotations = {
    ...(delivery === undefined ? {} : { 'nocreds.dev/delivery': delivery }),
    ...(exchanger === undefined ? {} : { 'nocreds.dev/exchanger': exchanger }),
  }
  return changed(name, serviceAccount, annotations, (container) => ({
    ...container,
    env: [{ name: 'AWS_ENDPOINT_URL_STS', value: stsUrl }],
  }))
}

/** For the ServiceAccount of its own name. */
export function workloadPod(
  name: string,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Pod> {
  const variables = Object.entries(env).map(([key, value]) => ({ name: key, value }))
  return changed(name, name, {}, (container) => ({ ...container, command, env: variables }))
}

async function changed(
  name: string,
  serviceAccountName: string,
  annotations: Readonly<Record<string, string>>,
  change: (container: KubeletContainer) => KubeletContainer,
): Promise<Pod> {
  const pod = parse(await readFile(join(import.meta.dirname, 'cluster', 'pod.yaml'), 'utf8')) as Pod
  const [container, ...others] = pod.spec.containers
  if (container === undefined) throw new Error('the pod of the demo has no container')
  const marks = Object.keys(annotations).length === 0 ? {} : { annotations }
  return {
    ...pod,
    metadata: { ...pod.metadata, name, ...marks },
    spec: { ...pod.spec, serviceAccountName, containers: [change(container), ...others] },
  }
}
