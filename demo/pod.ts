/** The pod of the demo, as its developer wrote it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { KubeletPod } from '../testbed/kubelet-pod.ts'

export type Pod = KubeletPod & { readonly [field: string]: unknown }

/** For a ServiceAccount and with a delivery; it is told where the AWS of the demo is. */
export async function podFor(
  name: string,
  serviceAccount: string,
  options: { readonly delivery?: string; readonly stsUrl: string },
): Promise<Pod> {
  const pod = parse(await readFile(join(import.meta.dirname, 'cluster', 'pod.yaml'), 'utf8')) as Pod
  const [container, ...others] = pod.spec.containers
  if (container === undefined) throw new Error('the pod of the demo has no container')
  const env = [{ name: 'AWS_ENDPOINT_URL_STS', value: options.stsUrl }]
  const annotations =
    options.delivery === undefined
      ? {}
      : { annotations: { 'nocreds.dev/delivery': options.delivery } }
  return {
    ...pod,
    metadata: { ...pod.metadata, name, ...annotations },
    spec: {
      ...pod.spec,
      serviceAccountName: serviceAccount,
      containers: [{ ...container, env }, ...others],
    },
  }
}
