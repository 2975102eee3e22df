/**
 * Baseline: the least that any admission server in Node does. `node:https`, JSON.parse, a patch put
 * together by hand for pods that need no check, JSON.stringify. No schema, policy, cache, deadline,
 * metrics or log.
 *
 * `node tools/bench/baselines/bare.ts CERT_FILE KEY_FILE EXCHANGER_IMAGE`; prints its port.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { DEFAULT_EXCHANGER_RESOURCES } from '../../../contract/exchanger-resources.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import { listen } from '../../../shared/base/server.ts'
import { injectedContainer, injectedVolumes } from '../../../webhook/admit/inject/additions.ts'
import { appSide } from '../../../webhook/admit/inject/deliveries.ts'
import type { Injection } from '../../../webhook/admit/inject/injection.ts'
import { NAMESPACE, ROLE, SERVICE_ACCOUNT } from '../pod-review.ts'

interface Named {
  readonly name: string
}

interface BareContainer extends Named {
  readonly env: readonly Named[]
  readonly volumeMounts: readonly Named[]
}

interface BareReview {
  readonly request: {
    readonly uid: string
    readonly object: {
      readonly spec: {
        readonly volumes: readonly Named[]
        readonly initContainers: readonly BareContainer[]
        readonly containers: readonly BareContainer[]
      }
    }
  }
}

const [certFile = '', keyFile = '', exchangerImage = ''] = process.argv.slice(2)
const role = parseRoleArn(ROLE)
if (role === undefined) throw new Error(`${ROLE} is not a role`)

/** What the product works out for each pod; here it is the same for all, worked out once. */
const INJECTION: Injection = {
  request: {
    credentials: {
      role,
      delivery: 'process',
      sessionDurationSeconds: 3600,
      sessionName: '{namespace}.{serviceaccount}',
      audience: 'sts.amazonaws.com',
      tokenExpirationSeconds: 3600,
      region: undefined,
      containers: undefined,
      target: undefined,
      sessionPolicy: undefined,
      sessionPolicyArns: undefined,
    },
    certificate: undefined,
    exchanger: 'sidecar',
    skipContainers: [],
    exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
  },
  namespace: NAMESPACE,
  serviceAccount: SERVICE_ACCOUNT,
  exchangerImage,
  stsEndpoint: undefined,
  stsProxy: undefined,
  stsNoProxy: undefined,
  stsCa: undefined,
  clusterArn: undefined,
  clusterName: undefined,
  hasDefaultTags: true,
  exchangerImages: [],
  exchangerImagePullPolicy: 'IfNotPresent',
  exchangerUser: 65532,
  meshProxies: [],
  certificateSource: 'authority',
  trustBundle: 'config-map',
  authorityUrl: 'https://nocreds-authority.nocreds-system.svc',
}
const NO_POD = { metadata: {}, spec: { containers: [] } }
const SIDECARS = [injectedContainer(INJECTION, NO_POD)]
const VOLUMES = injectedVolumes(INJECTION)
const APP = appSide(INJECTION, NO_POD, 0)

function patchOf({ spec }: BareReview['request']['object']): object[] {
  const path = '/metadata/annotations/nocreds.dev~1injected-role'
  const patch: object[] = [{ op: 'add', path, value: ROLE }]
  VOLUMES.forEach((value, index) => {
    patch.push({ op: 'add', path: `/spec/volumes/${spec.volumes.length + index}`, value })
  })
  SIDECARS.forEach((value, index) => {
    patch.push({ op: 'add', path: `/spec/initContainers/${index}`, value })
  })
  const serve = (path: string, { env, volumeMounts }: BareContainer): void => {
    APP.env.forEach((value, index) => {
      patch.push({ op: 'add', path: `${path}/env/${env.length + index}`, value })
    })
    APP.mounts.forEach((value, index) => {
      patch.push({ op: 'add', path: `${path}/volumeMounts/${volumeMounts.length + index}`, value })
    })
  }
  spec.initContainers.forEach((one, index) => {
    serve(`/spec/initContainers/${index + SIDECARS.length}`, one)
  })
  spec.containers.forEach((one, index) => {
    serve(`/spec/containers/${index}`, one)
  })
  return patch
}

function answer(body: Buffer): string {
  const { request } = JSON.parse(body.toString()) as BareReview
  const patch = Buffer.from(JSON.stringify(patchOf(request.object))).toString('base64')
  const response = { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })
}

function readBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    done(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
  })
}

const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile) },
  (request, response) => {
    readBody(request, (body) => {
      const text = answer(body)
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      })
      response.end(text)
    })
  },
)
console.log(JSON.stringify({ port: await listen(server, 0, '127.0.0.1') }))
