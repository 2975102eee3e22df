/** The authority as a process, and the apiserver that it asks whose token it was given. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { AUTHORITY, TRUST_BUNDLE } from '../../contract/certificates.ts'
import { PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import { realClock } from '../../shared/base/clock.ts'
import type { FakeApiserver } from '../../test/fakes/apiserver.ts'
import { authorityCluster, writeNamespace } from '../../test/fakes/authority-cluster.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { uidOf, type Issuer } from '../../test/fakes/issuer.ts'
import { verifyWebIdentity } from '../../test/fakes/sts/web-identity.ts'
import type { Pod } from './pod.ts'
import { portOf, startProgram, stopProgram } from './program.ts'

/** The shortest that it takes, so that a renewal can be watched. */
const LIFETIME_SECONDS = 60
const HOST = 'localhost'

export interface Authority {
  /** As pods reach it. */
  readonly url: string
  /** Tells the apiserver of a pod, as happens before a kubelet runs it. */
  addPod(pod: Pod): void
  /** The `data` of a ConfigMap; undefined if absent. */
  readonly configMap: (
    namespace: string,
    name: string,
  ) => Readonly<Record<string, string>> | undefined
  close(): Promise<void>
}

/** The built authority, with the namespace of the demo enabled; the trust bundle is there. */
export async function startAuthority(folder: string, issuer: Issuer): Promise<Authority> {
  const api = await authorityCluster()
  writeNamespace(api, 'team-a', { [PERMITTED_DNS_NAMES]: HOST })
  api.extra.set('POST /apis/authentication.k8s.io/v1/tokenreviews', (body) => {
    const { spec } = body as { readonly spec: { readonly token: string } }
    return review(spec.token, issuer)
  })
  const flags = {
    '--port': '0',
    '--metrics-port': '0',
    '--max-lifetime-seconds': String(LIFETIME_SECONDS),
    '--extra-server-name': HOST,
  }
  const child = startProgram('authority', flags, { KUBECONFIG: await kubeconfig(folder, api) })
  const port = await portOf(child)
  const configMap: Authority['configMap'] = (namespace, name) =>
    api.store.get(`/api/v1/namespaces/${namespace}/configmaps/${name}`)?.['data'] as
      Readonly<Record<string, string>> | undefined
  await eventually(() => configMap('team-a', TRUST_BUNDLE.configMap) !== undefined)
  return {
    url: `https://${HOST}:${port}`,
    addPod({ metadata: { namespace = '', name = '' }, spec: { serviceAccountName } }) {
      api.store.write(`/api/v1/namespaces/${namespace}/pods/${name}`, {
        metadata: { name, namespace, uid: uidOf('pod', `${namespace}/${name}`) },
        spec: { serviceAccountName, nodeName: 'demo' },
        status: { phase: 'Running' },
      })
    },
    configMap,
    async close() {
      await stopProgram(child)
      await api.stop()
    },
  }
}

/** What the apiserver says of a token: whose it is, or that it is not good. */
async function review(token: string, issuer: Issuer): Promise<object> {
  const provider = { url: issuer.url, caPem: issuer.caPem, clientIds: [AUTHORITY.audience] }
  try {
    await verifyWebIdentity(token, [provider], realClock)
  } catch {
    return { status: { authenticated: false } }
  }
  const { sub, ['kubernetes.io']: bound } = decodeJwt<{
    'kubernetes.io': { readonly pod: { readonly name: string; readonly uid: string } }
  }>(token)
  const extra = {
    'authentication.kubernetes.io/pod-name': [bound.pod.name],
    'authentication.kubernetes.io/pod-uid': [bound.pod.uid],
  }
  const user = { username: sub, extra }
  return { status: { authenticated: true, audiences: [AUTHORITY.audience], user } }
}

async function kubeconfig(folder: string, api: FakeApiserver): Promise<string> {
  const file = join(folder, 'kubeconfig')
  const config = {
    'current-context': 'demo',
    clusters: [{ name: 'demo', cluster: { server: api.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'authority', user: {} }],
    contexts: [{ name: 'demo', context: { cluster: 'demo', user: 'authority' } }],
  }
  await writeFile(file, JSON.stringify(config))
  return file
}
