import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { IMAGES } from '../versions.ts'
import type { Kubectl } from './kubectl.ts'

const NAME = 'peer-webhook'

/** What a mutating webhook of somebody else adds to pods. What is there already it does not add again. */
export interface PeerAdditions {
  /** At the end of the pod, as service meshes and log shippers do. */
  readonly container?: { readonly name: string }
  /** To every container and init container, whatever its name, as policy engines do. */
  readonly toAll?: {
    readonly env: { readonly name: string; readonly value: string }
    /** A volume of the pod, and where it is mounted. */
    readonly volume: { readonly name: string }
    readonly mountPath: string
    /** Put before the name of each image, which a mirror is reached by. */
    readonly imagePrefix: string
    /** Fields that a container gets if it does not have them. */
    readonly securityContext: object
  }
}

const PROGRAM = String.raw`
  const { readFileSync } = require('node:fs')
  const tls = { cert: readFileSync('/etc/peer/tls.crt'), key: readFileSync('/etc/peer/tls.key') }
  const { container, toAll } = JSON.parse(readFileSync('/etc/peer/additions.json', 'utf8'))
  const withMissing = (list = [], one) => (list.some(({ name }) => name === one.name) ? list : [...list, one])
  const added = (one) => ({
    ...one,
    image: one.image.startsWith(toAll.imagePrefix) ? one.image : toAll.imagePrefix + one.image,
    env: withMissing(one.env, toAll.env),
    volumeMounts: withMissing(one.volumeMounts, { name: toAll.volume.name, mountPath: toAll.mountPath }),
    securityContext: { ...toAll.securityContext, ...one.securityContext },
  })
  function changed(spec) {
    const withContainer = container ? { ...spec, containers: withMissing(spec.containers, container) } : spec
    if (!toAll) return withContainer
    const { volumes, initContainers = [], containers } = withContainer
    return {
      ...withContainer,
      volumes: withMissing(volumes, toAll.volume),
      initContainers: initContainers.map(added),
      containers: containers.map(added),
    }
  }
  require('node:https').createServer(tls, (request, response) => {
    let text = ''
    request.on('data', (part) => { text += part }).on('end', () => {
      if (text === '') return response.end()
      const { uid, object } = JSON.parse(text).request
      const { name, generateName } = object.metadata
      const seen = object.spec.initContainers?.map(({ name }) => name) ?? []
      console.log(JSON.stringify({ pod: name ?? generateName, seen }))
      const patch = [{ op: 'replace', path: '/spec', value: changed(object.spec) }]
      const answer = { uid, allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
    })
  }).listen(8443)`

/** A webhook server that runs, and can be registered any number of times. */
export interface PeerWebhook {
  /** The pods that it saw, in the order in which it was called, with the names of their init containers. */
  seen(): Promise<readonly { readonly pod: string; readonly seen: readonly string[] }[]>
  /**
   * Has it called for the pods of a Namespace.
   *
   * @param configuration its name; the apiserver calls webhooks in the order of these
   */
  register(
    configuration: string,
    target: string,
    reinvocationPolicy?: 'Never' | 'IfNeeded',
  ): Promise<void>
  /** Takes every registration back. */
  remove(): Promise<void>
}

/**
 * Starts the server of a mutating webhook of somebody else.
 *
 * @param namespace where it runs; made here
 */
export async function startPeerWebhook(
  kubectl: Kubectl,
  namespace: string,
  additions: PeerAdditions,
): Promise<PeerWebhook> {
  const { caPem, certPem, keyPem } = await throwawayCertificate([`${NAME}.${namespace}.svc`])
  const metadata = { name: NAME, namespace }
  const files = {
    'peer.cjs': PROGRAM,
    'additions.json': JSON.stringify(additions),
    'tls.crt': certPem,
    'tls.key': keyPem,
  }
  const ports = [{ port: 443, targetPort: 8443 }]
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: files },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: { app: NAME }, ports } },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: deploymentSpec() },
  )
  const inNamespace = ['--namespace', namespace]
  await kubectl(['rollout', 'status', `deployment/${NAME}`, '--timeout=120s', ...inNamespace])
  const service = { name: NAME, namespace, port: 443, path: '/' }
  const clientConfig = { service, caBundle: Buffer.from(caPem).toString('base64') }
  const registered: string[] = []
  return {
    async seen() {
      const log = await kubectl(['logs', `deployment/${NAME}`, ...inNamespace])
      return log.split('\n').map((line) => JSON.parse(line) as { pod: string; seen: string[] })
    },
    async register(configuration, target, reinvocationPolicy = 'Never') {
      registered.push(configuration)
      await kubectl.apply({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: configuration },
        webhooks: [{ ...webhookFor(target), clientConfig, reinvocationPolicy }],
      })
    },
    async remove() {
      if (registered.length === 0) return
      await kubectl([
        ...['delete', 'mutatingwebhookconfiguration', '--ignore-not-found'],
        ...registered,
      ])
    },
  }
}

function deploymentSpec(): object {
  const labels = { app: NAME }
  const server = {
    name: NAME,
    image: IMAGES.node,
    command: ['node', '/etc/peer/peer.cjs'],
    readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'peer', mountPath: '/etc/peer' }],
  }
  const spec = {
    terminationGracePeriodSeconds: 1,
    containers: [server],
    volumes: [{ name: 'peer', secret: { secretName: NAME } }],
  }
  return { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } }
}

function webhookFor(target: string): object {
  return {
    name: 'peer.webhook.example',
    rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': target } },
    failurePolicy: 'Fail',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  }
}
