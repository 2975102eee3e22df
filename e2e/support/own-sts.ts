import { STS_ENDPOINT } from '../cluster/aws.ts'
import { whoAmI, type Suite } from './suite.ts'

/** STS by a name that `ownSts` leaves alone. */
const STS_OF_APPS = 'http://sts.aws.svc'

/** The suite's app, whose own calls go past any `OwnSts` of its pod. */
export function appBesideOwnSts(command: readonly string[]): object {
  const env = [
    { name: 'AWS_ENDPOINT_URL_STS', value: STS_OF_APPS },
    { name: 'AWS_REGION', value: 'us-east-1' },
  ]
  return { ...whoAmI(), env, command }
}

/** What a Service leads to. */
interface Backend {
  readonly namespace: string
  readonly app: string
  readonly port: number
}

/** STS itself, as aws.yaml runs it. */
export const AWS_STS: Backend = { namespace: 'aws', app: 'aws', port: 7078 }

/** A way to STS that a test may close: only pods with these aliases take it, so no other test notices. */
export interface OwnSts {
  /** For a pod's spec: the name by which exchangers know STS leads here. */
  readonly hostAliases: readonly object[]
  /** The same way, for the driver. */
  readonly url: string
  close(): Promise<void>
  open(): Promise<void>
  remove(): Promise<void>
}

/** Makes the Service; it leads to `backend` when this ends. */
export async function ownSts({ kubectl, prefix }: Suite, backend: Backend): Promise<OwnSts> {
  const { namespace, app, port } = backend
  const name = `${prefix}-sts`
  const inNamespace = ['--namespace', namespace]
  const ports = [{ port: 80, targetPort: port }]
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector: { app }, ports },
  })
  const { spec } = await kubectl.get<{ readonly spec: { readonly clusterIP: string } }>([
    ...['service', name, ...inNamespace],
  ])
  const leadTo = async (selected: string): Promise<void> => {
    const patch = JSON.stringify({ spec: { selector: { app: selected } } })
    await kubectl(['patch', 'service', name, '-p', patch, ...inNamespace])
  }
  return {
    hostAliases: [{ ip: spec.clusterIP, hostnames: [new URL(STS_ENDPOINT).hostname] }],
    url: `http://${name}.${namespace}.svc.cluster.local`,
    close: () => leadTo('nobody'),
    open: () => leadTo(app),
    remove: async () => {
      await kubectl(['delete', 'service', name, '--ignore-not-found', ...inNamespace])
    },
  }
}
