import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { realClock } from '../../shared/base/clock.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import type { Host } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { sendSigned, type Keys } from '../support/signed-request.ts'
import { waitFor } from '../support/wait.ts'
import { NODE_CONTAINER } from './names.ts'

/** Host of the cluster's ServiceAccount issuer, as in kind.yaml. */
export const ISSUER = '203.0.113.10'
/** The only account that versitygw has. */
export const ACCOUNT = '000000000000'
export const AUDIENCE = 'sts.amazonaws.com'
/** As pods reach them. */
export const STS_ENDPOINT = 'http://sts.aws.svc.cluster.local'
export const S3_ENDPOINT = 'http://s3.aws.svc.cluster.local'

const PROVIDER = `arn:aws:iam::${ACCOUNT}:oidc-provider/${ISSUER}`

/** IAM and S3 as their administrator uses them, from this machine. */
export interface AwsAdmin {
  /** An action of IAM, such as `CreateRole`. */
  iam(action: string, parameters: Readonly<Record<string, string>>): Promise<string>
  createBucket(name: string): Promise<void>
  /**
   * A role that one ServiceAccount may assume; returns its ARN. A token of another is refused with
   * AccessDenied, as AWS does it.
   */
  createRole(name: string, serviceAccount: string): Promise<string>
  /** What the role may do to objects of a bucket. */
  permit(role: string, bucket: string, actions: readonly string[]): Promise<void>
}

/** STS, as this machine reaches it: `127.0.0.1:PORT`, by http. */
export function stsOnLoopback(host: Host): Promise<string> {
  return portOf(host, 30078)
}

/** Starts STS, IAM and S3 in the cluster, with the cluster's issuer as OIDC provider. */
export async function startAws(host: Host): Promise<AwsAdmin> {
  const kubectl = kubectlOf(host)
  const read = (path: string): Promise<string> => readFile(join(import.meta.dirname, path), 'utf8')
  const documents: Record<string, unknown> = {}
  for (const path of ['/.well-known/openid-configuration', '/openid/v1/jwks'])
    documents[path] = JSON.parse(await kubectl(['get', '--raw', path]))
  const { caPem, certPem, keyPem } = await throwawayCertificate([ISSUER])
  const secret = (name: string, stringData: Readonly<Record<string, string>>): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'aws' },
    stringData,
  })
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'aws' } },
    secret('issuer-tls', { 'ca.crt': caPem, 'tls.crt': certPem, 'tls.key': keyPem }),
    secret('root', {
      ROOT_ACCESS_KEY_ID: 'root',
      ROOT_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
    }),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'issuer', namespace: 'aws' },
      data: {
        'issuer.ts': await read('issuer.ts'),
        'documents.json': JSON.stringify(documents),
      },
    },
  )
  await kubectl(['apply', '-f', '-'], await read('aws.yaml'))
  const status = { loadBalancer: { ingress: [{ ip: ISSUER }] } }
  const patch = ['--subresource=status', '-p', JSON.stringify({ status })]
  await kubectl(['patch', 'service', 'issuer', '--namespace', 'aws', ...patch])
  await kubectl(['rollout', 'status', 'deployment/aws', '--namespace', 'aws', '--timeout=180s'])

  const admin = await awsAdmin(host)
  await reached(admin)
  await admin.iam('CreateOpenIDConnectProvider', {
    Url: `https://${ISSUER}`,
    'ClientIDList.member.1': AUDIENCE,
    'ThumbprintList.member.1': '0'.repeat(40), // the CA is trusted, so the thumbprint does not matter
  })
  return admin
}

/** The administrator's access to what `startAws` started. */
export async function awsAdmin(host: Host): Promise<AwsAdmin> {
  const keys = await rootKeys(host)
  const [sts, s3] = [await stsOnLoopback(host), await portOf(host, 30077)]
  const iam: AwsAdmin['iam'] = (action, parameters) => {
    const body = new URLSearchParams({ Action: action, Version: '2010-05-08', ...parameters })
    const request = { method: 'POST', url: `http://${sts}/`, service: 'iam' } as const
    return sendSigned({ ...request, body: body.toString() }, keys, realClock.now())
  }
  return {
    iam,
    async createBucket(name) {
      const request = { method: 'PUT', url: `http://${s3}/${name}`, service: 's3' } as const
      await sendSigned(request, keys, realClock.now())
    },
    async createRole(name, serviceAccount) {
      await reached({ iam })
      await iam('CreateRole', {
        RoleName: name,
        AssumeRolePolicyDocument: JSON.stringify(trustOf(serviceAccount)),
      })
      return `arn:aws:iam::${ACCOUNT}:role/${name}`
    },
    async permit(role, bucket, actions) {
      const statement = { Effect: 'Allow', Action: actions, Resource: `arn:aws:s3:::${bucket}/*` }
      await iam('PutRolePolicy', {
        RoleName: role,
        PolicyName: bucket,
        PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }),
      })
    },
  }
}

/**
 * Waits until IAM answers. The way to a ready pod is programmed a moment after it is ready, and is taken
 * away for a while when the node counts as lost, as after a restart of the apiserver that took long.
 */
async function reached(admin: Pick<AwsAdmin, 'iam'>): Promise<void> {
  await waitFor('IAM to answer', 60_000, () => admin.iam('ListOpenIDConnectProviders', {}))
}

/** @param serviceAccount `NAMESPACE:NAME` */
function trustOf(serviceAccount: string): object {
  const sub = `system:serviceaccount:${serviceAccount}`
  const statement = {
    Principal: { Federated: PROVIDER },
    Action: 'sts:AssumeRoleWithWebIdentity',
  }
  return {
    Version: '2012-10-17',
    Statement: [
      {
        ...statement,
        Effect: 'Allow',
        Condition: { StringEquals: { [`${ISSUER}:sub`]: sub, [`${ISSUER}:aud`]: AUDIENCE } },
      },
      // Without it versitygw answers another subject with InvalidIdentityToken.
      {
        ...statement,
        Effect: 'Deny',
        Condition: { StringNotEquals: { [`${ISSUER}:sub`]: sub } },
      },
    ],
  }
}

async function rootKeys(host: Host): Promise<Keys> {
  const { data } = await kubectlOf(host).get<{ readonly data: Readonly<Record<string, string>> }>([
    ...['secret', 'root', '--namespace', 'aws'],
  ])
  const read = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString()
  return {
    accessKeyId: read('ROOT_ACCESS_KEY_ID'),
    secretAccessKey: read('ROOT_SECRET_ACCESS_KEY'),
  }
}

/** `127.0.0.1:PORT` that leads to a port of the node. */
async function portOf(host: Host, port: number): Promise<string> {
  return host.run('docker', ['port', NODE_CONTAINER, `${port}/tcp`])
}
