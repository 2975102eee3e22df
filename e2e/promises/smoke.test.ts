import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DELIVERY_NAMES } from '../../contract/delivery.ts'
import { ACCOUNT, awsAdmin, STS_ENDPOINT, type AwsAdmin } from '../cluster/aws.ts'
import { hostOf } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { IMAGES } from '../versions.ts'

const host = hostOf(process.env, (line) => process.stdout.write(line))
const kubectl = kubectlOf(host)
const prefix = `smoke-${randomBytes(3).toString('hex')}`

interface Pod {
  readonly spec: { readonly initContainers?: readonly { readonly name: string }[] }
}

/** What an application developer writes: nothing of nocreds but the annotation of the ServiceAccount. */
function appPod(namespace: string): object {
  const env = { AWS_ENDPOINT_URL_STS: STS_ENDPOINT, AWS_REGION: 'us-east-1' }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', namespace },
    spec: {
      serviceAccountName: 'app',
      restartPolicy: 'Never',
      containers: [
        {
          name: 'app',
          image: IMAGES.appJavascript,
          env: Object.entries(env).map(([name, value]) => ({ name, value })),
        },
      ],
    },
  }
}

describe('annotate, apply, credentials', () => {
  let aws: AwsAdmin
  beforeAll(async () => {
    aws = await awsAdmin(host)
  })
  afterAll(async () => {
    const namespaces = DELIVERY_NAMES.map((delivery) => `${prefix}-${delivery}`)
    await kubectl(['delete', 'namespace', '--wait=false', '--ignore-not-found', ...namespaces])
  })

  test.each(DELIVERY_NAMES)('by %s: the SDK of an app pod is the role', async (delivery) => {
    const namespace = `${prefix}-${delivery}`
    const role = await aws.createRole(namespace, `${namespace}:app`)
    await kubectl.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespace,
        annotations: {
          'nocreds.dev/permitted-roles': role,
          'nocreds.dev/permitted-deliveries': delivery,
        },
      },
    })
    await kubectl.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: {
        name: 'app',
        namespace,
        annotations: { 'nocreds.dev/role-arn': role, 'nocreds.dev/delivery': delivery },
      },
    })
    await kubectl.apply(appPod(namespace))

    const ended = 'jsonpath={.status.phase}=Succeeded'
    await kubectl(['wait', 'pod/app', '-n', namespace, '--for', ended, '--timeout=120s'])
    const said: unknown = JSON.parse(await kubectl(['logs', 'app', '-n', namespace, '-c', 'app']))
    expect(said).toEqual({
      account: ACCOUNT,
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${namespace}/${namespace}.app`,
    })
    const { spec } = await kubectl.get<Pod>(['pod', 'app', '-n', namespace])
    const sidecars = delivery === 'web-identity' ? [] : ['nocreds-exchanger']
    expect((spec.initContainers ?? []).map(({ name }) => name)).toEqual(sidecars)
  })
})
