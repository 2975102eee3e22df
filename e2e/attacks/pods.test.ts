/**
 * Pods that a developer writes by hand: parts of ours on a pod that the webhook leaves alone (01), the webhook's own
 * pod with a change (04, M5), fields of the pod that reach into the exchanger (05). Each is sent twice: where webhook
 * and guard see it, and where only the guard does.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Operation } from 'rfc6902'
import {
  changed,
  closeGround,
  DEV,
  expectAdmitted,
  hideFromWebhook,
  injectedPod,
  openGround,
  podOf,
  send,
  stopperOf,
  type AttackPod,
  type Ground,
  type Place,
} from '../support/attackers.ts'
import { waitFor } from '../support/wait.ts'

const GATES: readonly (readonly [string, Place])[] = [
  ['webhook and guard', 'team-a'],
  ['the guard alone', 'unseen'],
]
const OPTED_OUT = { inject: 'false' }
const EXCHANGER = '/spec/initContainers/0'
const IMAGE = 'nocreds/exchanger:0.1.0'
const SECRETS = '/var/run/secrets/nocreds.dev'

let ground: Ground
let show: () => Promise<void>
/** With a role and a certificate, as the webhook writes it. */
let whole: AttackPod

beforeAll(async () => {
  ground = await openGround('pods')
  whole = await injectedPod(ground, 'team-a', { 'role-arn': ground.role, certificate: 'true' })
  show = await hideFromWebhook(ground)
}, 90_000)

afterAll(async () => {
  await show()
  await closeGround(ground)
})

/** The same pod in another Namespace of the ground. */
function movedTo(place: Place, pod: AttackPod): AttackPod {
  return JSON.parse(
    JSON.stringify(pod).replaceAll(ground.ns('team-a'), ground.ns(place)),
  ) as AttackPod
}

const create = (place: Place, body: object): ReturnType<typeof send> =>
  send(ground, { place, resource: 'pods', body })

async function expectRefused(place: Place, pod: AttackPod): Promise<void> {
  const answer = await create(place, pod)
  const { message, status } = answer
  expect({ message, status }).toMatchObject({ status: 403 })
  if (place === 'unseen') expect(stopperOf(answer)).toMatch(/^nocreds-/)
  else expect(stopperOf(answer)).toMatch(/^(nocreds-|pods\.nocreds\.dev$)/)
}

const token = (audience: string): object => ({
  serviceAccountToken: { audience, path: 'token', expirationSeconds: 3600 },
})
const volume = (name: string, ...sources: readonly object[]): object => ({
  volumes: [{ name, projected: { sources } }],
})
const named = (name: string): object => ({ name, image: IMAGE })
const bundle = { configMap: { name: 'nocreds-trust-bundle' } }
const podCertificate = {
  podCertificate: {
    signerName: 'nocreds.dev/workload',
    keyType: 'ECDSAP256',
    credentialBundlePath: 'all',
  },
}

/** Attack 01 and its kind: parts of ours on a pod that asks for nothing. */
const HAND_MADE: readonly (readonly [string, object])[] = [
  [
    '01: a sidecar of our name',
    { initContainers: [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }] },
  ],
  ['an init container of our name', { initContainers: [named('nocreds-exchanger')] }],
  ['an app container of our name', { containers: [named('nocreds-exchanger')] }],
  [
    '01: the volume of the authority',
    volume('nocreds-authority', token('nocreds.dev/authority'), bundle),
  ],
  ['the volume of the STS token', volume('nocreds-token', token('sts.amazonaws.com'))],
  ['the volume of the STS token, with another token', volume('nocreds-token', token('vault'))],
  ['a volume of credentials', { volumes: [{ name: 'nocreds-credentials', emptyDir: {} }] }],
  ['a volume of keys', { volumes: [{ name: 'nocreds-tls', emptyDir: {} }] }],
  ['a token for the authority by another name', volume('mine', token('nocreds.dev/authority'))],
  ['the same as second source', volume('mine', token('vault'), token('nocreds.dev/authority'))],
  [
    'a token for STS as third source',
    volume('mine', token('vault'), bundle, token('sts.amazonaws.com')),
  ],
  ['a certificate of our signer by the kubelet', volume('mine', podCertificate)],
  [
    'a volume of our CSI driver',
    { volumes: [{ name: 'mine', csi: { driver: 'csi.nocreds.dev' } }] },
  ],
]

describe.each(GATES)('opted out, before %s', (_, place) => {
  test.each(HAND_MADE)('refused: %s', (_what, spec) =>
    expectRefused(place, podOf({ ...spec }, OPTED_OUT)),
  )

  test('refused: a mark alone, and with generateName', async () => {
    const marked = podOf(
      {},
      { ...OPTED_OUT, 'injected-role': ground.role.replace(ground.prefix, 'admin') },
    )
    const { annotations } = marked.metadata
    const answer = await create(place, {
      ...marked,
      metadata: { annotations, generateName: 'case-' },
    })
    // The webhook takes a forged mark away; the guard refuses it.
    if (place === 'unseen') expect(stopperOf(answer)).toBe('nocreds-pods')
    else expect(JSON.stringify(answer.body)).not.toContain('injected-role')
  })

  test('admitted: opted out with nothing of ours, and tokens for others', async () => {
    expectAdmitted(await create(place, podOf({}, OPTED_OUT)))
    expectAdmitted(await create(place, podOf({ ...volume('mine', token('vault')) }, OPTED_OUT)))
  })
})

describe('in a namespace that is not enabled', () => {
  test.each(HAND_MADE.filter(([what]) => !what.includes('STS')))(
    'refused: %s',
    async (_what, spec) => {
      const answer = await create('tobe', podOf({ ...spec }))
      expect({ by: stopperOf(answer), ...answer }).toMatchObject({
        by: 'nocreds-reserved-names',
        status: 403,
      })
    },
  )
  test('admitted: any other pod', async () => {
    expectAdmitted(await create('tobe', podOf()))
  })
})

type Change = (pod: AttackPod) => Operation[]

const add =
  (path: string, value: unknown): Change =>
  () => [{ op: 'add', path, value }]
const sidecar = (field: string, value: unknown): Change => add(`${EXCHANGER}/${field}`, value)

/** Sets a variable of the exchanger, whether the webhook writes it or not. */
const variable =
  (name: string, value: string): Change =>
  ({ spec }) => {
    const at = spec.initContainers?.[0]?.env?.findIndex((one) => one.name === name) ?? -1
    if (at === -1) return [{ op: 'add', path: `${EXCHANGER}/env/-`, value: { name, value } }]
    return [{ op: 'replace', path: `${EXCHANGER}/env/${at}/value`, value }]
  }
const mount =
  (mountPath: string, more: object = {}): Change =>
  () => [
    { op: 'add', path: '/spec/volumes/-', value: { name: 'mine', emptyDir: {} } },
    { op: 'add', path: `${EXCHANGER}/volumeMounts/-`, value: { name: 'mine', mountPath, ...more } },
  ]
const both =
  (...changes: readonly Change[]): Change =>
  (pod) =>
    changes.flatMap((change) => change(pod))

/** A field of a volume of ours. */
const ofVolume =
  (name: string, field: string, value: unknown): Change =>
  ({ spec }) => {
    const at = spec.volumes?.findIndex((one) => one.name === name) ?? -1
    return [{ op: 'add', path: `/spec/volumes/${at}/${field}`, value }]
  }
const sources = 'projected/sources'
const VOLUMES: Readonly<Record<string, Change>> = {
  'another trust bundle': ofVolume('nocreds-authority', `${sources}/1/configMap/name`, 'mine'),
  'another key of the trust bundle': ofVolume(
    'nocreds-authority',
    `${sources}/1/configMap/items/0/key`,
    'mine',
  ),
  'one more source of the trust bundle': ofVolume('nocreds-authority', `${sources}/-`, {
    configMap: { name: 'mine', items: [{ key: 'ca.crt', path: 'ca.crt' }] },
  }),
  'a token for the authority that lives for a day': ofVolume(
    'nocreds-authority',
    `${sources}/0/serviceAccountToken/expirationSeconds`,
    86_400,
  ),
  'two tokens for STS': ofVolume('nocreds-token', `${sources}/-`, token('sts.amazonaws.com')),
  'another audience': ofVolume(
    'nocreds-token',
    `${sources}/0/serviceAccountToken/audience`,
    'nocreds.dev/authority',
  ),
  'the token in the app': add('/spec/containers/0/volumeMounts/-', {
    name: 'nocreds-token',
    mountPath: '/t',
  }),
  'the token of the authority in the app': add('/spec/containers/0/volumeMounts/-', {
    name: 'nocreds-authority',
    mountPath: '/t',
  }),
}

/** Attack 04 and its kind: the webhook's own pod, but for one thing. */
const SIDECARS: Readonly<Record<string, Change>> = {
  '04: pulled again, by the pull secret of the pod': sidecar('imagePullPolicy', 'Always'),
  '04: a device of its own': both(
    add('/spec/resourceClaims', [{ name: 'dev', resourceClaimName: 'mine' }]),
    sidecar('resources/claims', [{ name: 'dev' }]),
  ),
  'never pulled': sidecar('imagePullPolicy', 'Never'),
  'an image that ends in the same name': sidecar('image', `registry.example/${IMAGE}`),
  'the same name by another spelling': sidecar('image', `docker.io/${IMAGE}`),
  'a digest that the settings do not name': sidecar('image', `${IMAGE}@sha256:${'0'.repeat(64)}`),
  'another command': sidecar('command', ['node', '/nocreds/exchange.mjs']),
  args: sidecar('args', ['--inspect=0.0.0.0']),
  'a folder to work in': sidecar('workingDir', '/mine'),
  'a hook by http': sidecar('lifecycle/postStart', { httpGet: { port: 80, host: '10.0.0.1' } }),
  'a hook at the end': sidecar('lifecycle/preStop', { exec: { command: ['cat', '/x'] } }),
  'another probe': sidecar('livenessProbe', { exec: { command: ['cat', '/x'] } }),
  'another gate': sidecar('startupProbe/exec/command', ['true']),
  privileged: both(
    sidecar('securityContext/allowPrivilegeEscalation', true),
    sidecar('securityContext/privileged', true),
  ),
  'a capability': sidecar('securityContext/capabilities/add', ['SYS_PTRACE']),
  'another termination message': sidecar('terminationMessagePath', `${SECRETS}/token/token`),
  envFrom: sidecar('envFrom', [{ configMapRef: { name: 'mine' } }]),
  'a variable twice': sidecar('env/-', {
    name: 'NOCREDS_ROLE_ARN',
    value: 'arn:aws:iam::111122223333:role/admin',
  }),
  'a variable from elsewhere': sidecar('env/-', {
    name: 'NOCREDS_REGION',
    valueFrom: { configMapKeyRef: { name: 'mine', key: 'region' } },
  }),
}

const OTHER_VALUES = {
  NOCREDS_TERMINATION_MESSAGE_FILE: `${SECRETS}/authority/token`,
  NOCREDS_TOKEN_FILE: `${SECRETS}/authority/token`,
  NOCREDS_CREDENTIALS_FOLDER: '/tmp',
  NOCREDS_AUTHORITY_FOLDER: '/tmp',
  NOCREDS_TLS_FOLDER: '/tmp',
  NOCREDS_NAMESPACE: 'kube-system',
  NOCREDS_SERVICE_ACCOUNT: 'default',
  NOCREDS_POD: 'another',
  NOCREDS_AUTHORITY_URL: 'https://attacker.example',
  NOCREDS_STS_ENDPOINT: 'https://attacker.example',
  NOCREDS_ROLE_ARN: 'arn:aws:iam::111122223333:role/admin',
  NOCREDS_SESSION_NAME: 'team-b.payroll',
  NOCREDS_REGION: 'evil.example',
  NOCREDS_UNKNOWN: 'x',
}
const LOADERS = {
  NODE_OPTIONS: '--require=/mine/x.js',
  NODE_EXTRA_CA_CERTS: '/mine/ca.crt',
  NODE_TLS_REJECT_UNAUTHORIZED: '0',
  LD_PRELOAD: '/mine/x.so',
  LD_LIBRARY_PATH: '/mine',
  SSL_CERT_FILE: '/mine/ca.crt',
  OPENSSL_CONF: '/mine/openssl.cnf',
  GCONV_PATH: '/mine',
  GLIBC_TUNABLES: 'x',
  PATH: '/mine',
  HOSTALIASES: '/mine/hosts',
  RES_OPTIONS: 'ndots:1',
}
/** Where a foreign volume would change what runs, what it reads, or where it writes; by every spelling. */
const MOUNTS = [
  ...[
    '/usr',
    '/usr/local/bin',
    '/usr/../usr/lib',
    '/lib',
    '/lib64',
    '/bin',
    '/nocreds',
    '/nocreds/',
  ],
  ...[
    '//nocreds',
    '/tmp/../nocreds',
    '/./nocreds',
    'nocreds',
    '/',
    '/etc',
    '/etc/ssl',
    '/etc/ssl/',
  ],
  ...[
    '/etc/ssl/certs/..',
    '/etc/pki',
    '/etc/resolv.conf',
    '/proc',
    '/dev',
    '/dev/termination-log',
    '/var',
  ],
  ...['/run', '/var/run', `${SECRETS}/authority`, `${SECRETS}/authority/ca.crt`],
  ...['/run/secrets/nocreds.dev/authority/ca.crt', `${SECRETS}/aws/config`],
]

const CHANGES: readonly (readonly [string, Change])[] = [
  ...Object.entries(SIDECARS),
  ...Object.entries(VOLUMES),
  ...Object.entries(OTHER_VALUES).map(
    ([name, value]) => [`${name}=${value}`, variable(name, value)] as const,
  ),
  ...Object.entries(LOADERS).map(
    ([name, value]) => [`${name}=${value}`, variable(name, value)] as const,
  ),
  ...MOUNTS.map((path) => [`a volume at ${path}`, mount(path)] as const),
]

describe.each(GATES)("the webhook's own pod with a change, before %s", (_, place) => {
  test('admitted: without a change, so that it is the change that is refused', async () => {
    expectAdmitted(await create(place, movedTo(place, whole)))
  })
  test.each(CHANGES)('refused: %s', (_what, change) =>
    expectRefused(place, movedTo(place, changed(whole, change(whole)))),
  )

  const NEIGHBOURS: Readonly<Record<string, Change>> = {
    'resources of a LimitRange': sidecar('resources/limits/memory', '96Mi'),
    'a proxy for the app': variable('HTTPS_PROXY', 'http://proxy.example'),
    'a variable of AWS': variable('AWS_REGION', 'eu-central-1'),
    'certificates of the company': mount('/etc/ssl/certs'),
    'a folder for temporary files': mount('/tmp'),
    'one more container': add('/spec/containers/-', { name: 'mesh', image: 'example/mesh:1' }),
  }
  test.each(Object.entries(NEIGHBOURS))(
    'admitted from another webhook: %s',
    async (_what, change) => {
      // A webhook that runs after ours is what adds such things; ours is asked again then.
      expectAdmitted(await create(place, movedTo(place, changed(whole, change(whole)))))
    },
  )
})

test.each(['apps/v1 deployments', 'batch/v1 jobs'])(
  'refused: the hand-made pod as template of %s',
  async (kind) => {
    const [api = '', resource = ''] = kind.split(' ')
    const initContainers = [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }]
    const { metadata, spec } = podOf(
      { initContainers, restartPolicy: resource === 'jobs' ? 'Never' : 'Always' },
      OPTED_OUT,
    )
    const labels = { app: 'template' }
    const template = { metadata: { ...metadata, labels, name: undefined }, spec }
    const selector = resource === 'jobs' ? {} : { selector: { matchLabels: labels } }
    const body = {
      apiVersion: api,
      kind: resource === 'jobs' ? 'Job' : 'Deployment',
      metadata: { name: 'template' },
      spec: { ...selector, template },
    }
    expectAdmitted(await send(ground, { api, place: 'team-a', resource, body, isReal: true }))
    const inNamespace = ['--namespace', ground.ns('team-a')]
    const owner = resource === 'jobs' ? 'Job' : 'ReplicaSet'
    const reason = `involvedObject.kind=${owner},reason=FailedCreate`
    const message = await waitFor('the event that says why no pod comes', 30_000, async () => {
      const { items } = await ground.kubectl.get<{
        readonly items: readonly { readonly message: string }[]
      }>(['events', '--field-selector', reason, ...inNamespace])
      return items[0]?.message
    })
    expect(message).toMatch(/pods\.nocreds\.dev|nocreds-reserved-names/)
  },
)

test('refused: the hand-made pod by server-side apply', async () => {
  const initContainers = [{ ...named('nocreds-exchanger'), restartPolicy: 'Always' }]
  const body = podOf({ initContainers }, OPTED_OUT)
  const answer = await send(ground, {
    as: DEV,
    place: 'unseen',
    resource: 'pods/case',
    type: 'apply',
    body,
  })
  expect(stopperOf(answer)).toBe('nocreds-reserved-names')
})
