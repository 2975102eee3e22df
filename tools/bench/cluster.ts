/**
 * A large cluster: the testbed's apiserver as a process of its own, over TLS, with lists in chunks and
 * watches. `node tools/bench/cluster.ts CERT_FILE KEY_FILE NAMESPACES SERVICE_ACCOUNTS`; prints its port.
 * Each message of its parent is a number: so many ServiceAccounts change a second from now on.
 */
import { readFileSync } from 'node:fs'
import type { StoredObject } from '../../test/fakes/apiserver-store.ts'
import { FakeApiserver } from '../../test/fakes/apiserver.ts'
import { NAMESPACE, ROLE, SERVICE_ACCOUNT } from './pod-review.ts'

/** Changes are made in this many steps a second, as a controller that works through a queue. */
const STEPS_PER_SECOND = 50

const [certFile = '', keyFile = '', namespaces = '', serviceAccounts = ''] = process.argv.slice(2)
const api = new FakeApiserver({
  cert: readFileSync(certFile, 'utf8'),
  key: readFileSync(keyFile, 'utf8'),
})

/** What the apiserver keeps beside what was applied; `managedFields` is the larger part. */
function metadata(name: string, annotations: Record<string, string>): StoredObject['metadata'] {
  const fields = Object.fromEntries(Object.keys(annotations).map((key) => [`f:${key}`, {}]))
  return {
    name,
    uid: crypto.randomUUID(),
    creationTimestamp: '2026-11-20T09:12:44Z',
    labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'Helm' },
    annotations,
    managedFields: [
      {
        manager: 'helm',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-11-20T09:12:44Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': {
            'f:annotations': { '.': {}, ...fields },
            'f:labels': {
              '.': {},
              'f:app.kubernetes.io/name': {},
              'f:app.kubernetes.io/managed-by': {},
            },
          },
        },
      },
    ],
  }
}

function writeNamespace(name: string): void {
  const permitted = `arn:aws:iam::111122223333:role/${name}/.*`
  const annotations = { 'nocreds.dev/permitted-roles': permitted }
  api.store.write(`/api/v1/namespaces/${name}`, { metadata: metadata(name, annotations) })
}

function writeServiceAccount(namespace: string, name: string, role: string, version = 1): void {
  const annotations = { 'nocreds.dev/role-arn': role, 'example.com/version': String(version) }
  const object = { metadata: { ...metadata(name, annotations), namespace } }
  api.store.write(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}`, object)
}

/** Every ServiceAccount has a role, which is the worst case for the cache. */
function writeNth(index: number, version?: number): void {
  const namespace = `team-${index % Number(namespaces)}`
  const name = `service-${index}`
  writeServiceAccount(
    namespace,
    name,
    `arn:aws:iam::111122223333:role/${namespace}/${name}`,
    version,
  )
}

for (let index = 0; index < Number(namespaces); index += 1) writeNamespace(`team-${index}`)
for (let index = 0; index < Number(serviceAccounts); index += 1) writeNth(index)
writeNamespace(NAMESPACE)
writeServiceAccount(NAMESPACE, SERVICE_ACCOUNT, ROLE)
// As `kubectl apply` leaves them, for a webhook with --tls self-managed.
api.store.write('/api/v1/namespaces/nocreds-system/secrets/nocreds-webhook-tls', {
  metadata: { name: 'nocreds-webhook-tls' },
  type: 'Opaque',
})
api.store.write('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/nocreds', {
  metadata: { name: 'nocreds' },
  webhooks: [{ name: 'pods.nocreds.dev', clientConfig: {} }],
})
api.store.compact()

let changesPerSecond = 0
let changed = 0
setInterval(() => {
  for (let one = 0; one < changesPerSecond / STEPS_PER_SECOND; one += 1) {
    writeNth(changed % Number(serviceAccounts), changed)
    changed += 1
  }
}, 1000 / STEPS_PER_SECOND)
process.on('message', (message) => {
  changesPerSecond = Number(message)
})

await api.start()
console.log(JSON.stringify({ port: Number(new URL(api.url).port) }))
