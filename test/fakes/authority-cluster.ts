/** Test double: a cluster with one enabled team, as the authority sees it. Never shipped. */
import { KubeConfig } from '@kubernetes/client-node'
import { AUTHORITY } from '../../contract/certificates.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import { createKubeClient } from '../../shared/server/kube/kube.ts'
import { FakeApiserver } from './apiserver.ts'

export const SECRET_PATH = '/api/v1/namespaces/nocreds-system/secrets/nocreds-authority-ca'
export const POD = { name: 'web-1', uid: 'uid-1', serviceAccount: 'web', node: 'node-1' } as const

/** A token as an apiserver makes them for the authority, but for its signature. */
export function plausibleToken(signature: string, changes: object = {}): string {
  const iat = Math.floor(Date.now() / 1000)
  const claims = {
    aud: [AUTHORITY.audience],
    iss: 'https://fake',
    iat,
    exp: iat + 3600,
    ...changes,
  }
  const parts = [{ alg: 'RS256', kid: 'fake' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  return [...parts, signature].join('.')
}

/** What the fake TokenReview accepts. */
export const TOKEN = plausibleToken('signature')

/** The same, from a caller that asked for another lifetime than a kubelet does. */
export function tokenLasting(seconds: number): string {
  const iat = Math.floor(Date.now() / 1000)
  return plausibleToken('signature', { iat, exp: iat + seconds })
}

/** The body of a TokenReview's answer for the pod of team-a. */
export function reviewed(changes: object = {}, user: object = {}): object {
  return {
    status: {
      authenticated: true,
      audiences: [AUTHORITY.audience],
      user: {
        username: `system:serviceaccount:team-a:${POD.serviceAccount}`,
        extra: {
          'authentication.kubernetes.io/pod-name': [POD.name],
          'authentication.kubernetes.io/pod-uid': [POD.uid],
        },
        ...user,
      },
      ...changes,
    },
  }
}

/** Listens; `team-a` is enabled and permits `*.example.com`, `team-b` does not. */
export async function authorityCluster(): Promise<FakeApiserver> {
  const api = await new FakeApiserver().start()
  api.store.write(SECRET_PATH, {
    metadata: { name: 'nocreds-authority-ca', namespace: 'nocreds-system' },
  })
  api.store.write('/apis/rbac.authorization.k8s.io/v1/clusterroles/nocreds-authority', {
    metadata: { name: AUTHORITY.service, uid: 'uid-of-the-role' },
  })
  writeNamespace(api, 'team-a', { [PERMITTED_DNS_NAMES]: '[a-z]+\\.example\\.com' })
  api.store.write('/api/v1/namespaces/team-b', { metadata: { name: 'team-b' } })
  writePod(api, {})
  api.extra.set('POST /apis/authentication.k8s.io/v1/tokenreviews', (body) => {
    const { spec } = body as { spec: { token: string } }
    return /\.signature$/.test(spec.token) ? reviewed() : reviewed({ authenticated: false })
  })
  api.extra.set('GET /apis/certificates.k8s.io/v1', () => ({
    metadata: {},
    resources: [{ name: 'podcertificaterequests' }, { name: 'clustertrustbundles' }],
  }))
  return api
}

export function writeNamespace(
  api: FakeApiserver,
  name: string,
  annotations: Readonly<Record<string, string>>,
): void {
  const labels = { [INJECTION_LABEL.key]: INJECTION_LABEL.value }
  api.store.write(`/api/v1/namespaces/${name}`, { metadata: { name, labels, annotations } })
}

export function writePod(
  api: FakeApiserver,
  {
    metadata = {},
    spec = {},
    status = { phase: 'Running' },
  }: { metadata?: object; spec?: object; status?: object },
): void {
  api.store.write(`/api/v1/namespaces/team-a/pods/${POD.name}`, {
    metadata: { name: POD.name, namespace: 'team-a', uid: POD.uid, ...metadata },
    spec: { serviceAccountName: POD.serviceAccount, nodeName: POD.node, ...spec },
    status,
  })
}

export function kubeOf(api: FakeApiserver): KubeClient {
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'fake', server: api.url, skipTLSVerify: true },
    { name: 'authority' },
  )
  return createKubeClient(config)
}
