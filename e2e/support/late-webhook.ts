import { throwawayCertificate } from '../../testbed/throwaway-certificate.ts'
import { IMAGES } from '../versions.ts'
import type { Kubectl } from './kubectl.ts'

/** After `nocreds` in the order of configurations, which is that of their names. */
const CONFIGURATION = 'zz-late-webhook'
const NAME = 'late-webhook'

/** Adds a container to the end of the pod, as webhooks of service meshes and log shippers do. */
const PROGRAM = String.raw`
  const { readFileSync } = require('node:fs')
  const tls = { cert: readFileSync('/etc/late/tls.crt'), key: readFileSync('/etc/late/tls.key') }
  const container = JSON.parse(readFileSync('/etc/late/container.json', 'utf8'))
  require('node:https').createServer(tls, (request, response) => {
    let text = ''
    request.on('data', (part) => { text += part }).on('end', () => {
      if (text === '') return response.end()
      const { uid, object } = JSON.parse(text).request
      const seen = object.spec.initContainers?.map(({ name }) => name) ?? []
      console.log(JSON.stringify({ pod: object.metadata.name, seen }))
      const patch = [{ op: 'add', path: '/spec/containers/-', value: container }]
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
    })
  }).listen(8443)`

/**
 * Installs a mutating webhook of somebody else that runs after ours.
 *
 * @param namespace where it runs; made here
 * @param target Namespace whose pods get `container`
 */
export async function installLateWebhook(
  kubectl: Kubectl,
  { namespace, target, container }: { namespace: string; target: string; container: object },
): Promise<void> {
  const host = `${NAME}.${namespace}.svc`
  const { caPem, certPem, keyPem } = await throwawayCertificate([host])
  const metadata = { name: NAME, namespace }
  const files = {
    'late.cjs': PROGRAM,
    'container.json': JSON.stringify(container),
    'tls.crt': certPem,
    'tls.key': keyPem,
  }
  const labels = { app: NAME }
  const server = {
    name: NAME,
    image: IMAGES.node,
    command: ['node', '/etc/late/late.cjs'],
    readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'late', mountPath: '/etc/late' }],
  }
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: files },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [server],
            volumes: [{ name: 'late', secret: { secretName: NAME } }],
          },
        },
      },
    },
  )
  const rollout = ['rollout', 'status', `deployment/${NAME}`, '--timeout=120s']
  await kubectl([...rollout, '--namespace', namespace])
  const service = { name: NAME, namespace, port: 443, path: '/' }
  const webhook = {
    name: 'late.webhook.example',
    clientConfig: { service, caBundle: Buffer.from(caPem).toString('base64') },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': target } },
    failurePolicy: 'Fail',
    reinvocationPolicy: 'Never',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  }
  await kubectl.apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: CONFIGURATION },
    webhooks: [webhook],
  })
}

/** What it saw, in the order in which it was called: the init containers of each pod by name. */
export async function seenByLateWebhook(
  kubectl: Kubectl,
  namespace: string,
): Promise<{ readonly pod: string; readonly seen: readonly string[] }[]> {
  const log = await kubectl(['logs', `deployment/${NAME}`, '--namespace', namespace])
  return log.split('\n').map((line) => JSON.parse(line) as { pod: string; seen: string[] })
}

export async function removeLateWebhook(kubectl: Kubectl): Promise<void> {
  const configuration = ['mutatingwebhookconfiguration', CONFIGURATION]
  await kubectl(['delete', ...configuration, '--ignore-not-found'])
}
