/** What a hostile tenant changes of the sidecar that the webhook writes (04), as data. */
import type { Operation } from 'rfc6902'
import type { AttackPod } from '../support/attack.ts'

const EXCHANGER = '/spec/initContainers/0'
const IMAGE = 'nocreds/exchanger:0.1.0'
const SECRETS = '/var/run/secrets/nocreds.dev'

const token = (audience: string): object => ({
  serviceAccountToken: { audience, path: 'token', expirationSeconds: 3600 },
})

/** What is done to a pod, as JSON patch. */
export type Change = (pod: AttackPod) => Operation[]

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
    return [{ op: 'replace', path: `${EXCHANGER}/env/${at}`, value: { name, value } }]
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

/** A field of a volume of nocreds. */
const ofVolume =
  (name: string, field: string, value: unknown): Change =>
  ({ spec }) => {
    const at = spec.volumes?.findIndex((one) => one.name === name) ?? -1
    return [{ op: 'add', path: `/spec/volumes/${at}/${field}`, value }]
  }
const sources = 'projected/sources'
/** What a pod with a certificate by the sidecar has besides. */
export const CHANGES_WITH_CERTIFICATE: Readonly<Record<string, Change>> = {
  'another trust bundle': ofVolume('nocreds-authority', `${sources}/1/configMap/name`, 'mine'),
  'another key of the trust bundle': ofVolume(
    'nocreds-authority',
    `${sources}/1/configMap/items/0/key`,
    'mine',
  ),
  'one more source of the trust bundle': ofVolume('nocreds-authority', `${sources}/-`, {
    configMap: { name: 'mine', items: [{ key: 'ca.crt', path: 'other.crt' }] },
  }),
  'a token for the authority that is valid for a day': ofVolume(
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
  ...['/run', '/var/run', `${SECRETS}/authority/`, `${SECRETS}/authority/ca.crt`],
  ...['/run/secrets/nocreds.dev/authority/ca.crt', `${SECRETS}/aws/config`],
]

const eachOf = (values: Readonly<Record<string, string>>): Record<string, Change> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${name}=${value}`, variable(name, value)]),
  )

/** Each is put back by the webhook, and refused by the guard if the webhook does not see it. */
export const OF_SIDECAR: Readonly<Record<string, Change>> = {
  ...SIDECARS,
  ...eachOf(OTHER_VALUES),
  ...eachOf(LOADERS),
  ...Object.fromEntries(MOUNTS.map((path) => [`a volume at ${path}`, mount(path)])),
}

/** Each is refused by both. */
export const OF_POD: Readonly<Record<string, Change>> = {
  'the token in the app': add('/spec/containers/0/volumeMounts/-', {
    name: 'nocreds-token',
    mountPath: '/t',
  }),
  '05: one process namespace with the app': add('/spec/shareProcessNamespace', true),
  'the credentials in the app, writable': add('/spec/containers/0/volumeMounts/-', {
    name: 'nocreds-credentials',
    mountPath: '/c',
  }),
}

/** Harmless changes. */
export const NEIGHBOURS: Readonly<Record<string, Change>> = {
  'resources of a LimitRange': sidecar('resources/limits/memory', '96Mi'),
  'one more container': add('/spec/containers/-', { name: 'mesh', image: 'example/mesh:1' }),
  'aliases of hosts': add('/spec/hostAliases', [{ ip: '10.0.0.1', hostnames: ['db.example'] }]),
}

/** What webhooks that run after nocreds add to each container. */
export const ADDED_BY_OTHERS: Readonly<Record<string, Change>> = {
  'a proxy': variable('HTTPS_PROXY', 'http://proxy.example'),
  'a region': variable('AWS_REGION', 'eu-central-1'),
  'certificates of the company': mount('/etc/ssl/certs'),
  'a folder for temporary files': mount('/tmp'),
}
