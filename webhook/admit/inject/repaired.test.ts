import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DEFAULT_EXCHANGER_RESOURCES } from '../../../contract/exchanger-resources.ts'
import { parseRoleArn } from '../../../contract/role-arn.ts'
import { WANTED_ALONE } from '../../../test/fakes/role-alone.ts'
import { SETTINGS } from '../../../test/fakes/webhook-settings.ts'
import type { Container } from '../pod.ts'
import { injectedContainer } from './additions.ts'
import type { Injection } from './injection.ts'
import { repairedParts, repaired } from './repaired.ts'
import { formsOf } from './resources.ts'

const DIGEST = `@sha256:${'a'.repeat(64)}`
const OTHER_DIGEST = `@sha256:${'b'.repeat(64)}`
const NO_POD = { metadata: {}, spec: { containers: [] } }

const INJECTION: Injection = {
  ...SETTINGS,
  exchangerImage: 'e/x:1',
  namespace: 'team-a',
  serviceAccount: 'app',
  hasDefaultTags: true,
  request: {
    credentials: {
      role: parseRoleArn('arn:aws:iam::111122223333:role/app')!,
      delivery: 'process',
      sessionDurationSeconds: 3600,
      sessionName: '{namespace}.{serviceaccount}',
      audience: 'sts.amazonaws.com',
      tokenExpirationSeconds: 3600,
      region: undefined,
      ...WANTED_ALONE,
    },
    certificate: undefined,
    exchanger: 'sidecar',
    skipContainers: [],
    exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
  },
}

function injected(injection: Injection = INJECTION): Container {
  return injectedContainer(injection, NO_POD)!
}

/** The injected container with a few fields changed, and repaired. */
function after(changes: object, settings: Partial<Injection> = {}): Container {
  const injection = { ...INJECTION, ...settings }
  const expected = injected(injection)
  const result = repaired({ ...expected, ...changes }, expected, injection)
  expect(repaired(result, expected, injection)).toBe(result)
  return result
}

const withEnv = (...more: object[]): object => ({ env: [...injected().env!, ...more] })
const withMount = (...more: object[]): object => ({
  volumeMounts: [...injected().volumeMounts!, ...more],
})

test('variables of a second role are restored, and those without one removed', () => {
  const { request } = INJECTION
  const target = {
    role: parseRoleArn('arn:aws:iam::111122223333:role/data')!,
    externalId: 'id',
    tags: [{ key: 'team', value: 'a' }],
  }
  const credentials = { ...request.credentials!, target }
  const injection = { ...INJECTION, request: { ...request, credentials } }
  const expected = injected(injection)
  const without = expected.env!.filter(({ name }) => name !== 'NOCREDS_POD_UID')
  const changed = without.map((one) =>
    one.name === 'NOCREDS_SESSION_TAGS' ? { ...one, value: 'team=b' } : one,
  )
  const restored = repaired({ ...expected, env: changed }, expected, injection)
  expect(restored.env).toEqual(expect.arrayContaining(expected.env as object[]))
  expect(restored.env).toHaveLength(expected.env!.length)
  const names = ['NOCREDS_TARGET_ROLE_ARN', 'NOCREDS_SESSION_TAGS', 'NOCREDS_CLUSTER_ARN']
  expect(after(withEnv(...names.map((name) => ({ name, value: 'x' })))).env).toEqual(injected().env)
})

test('the injected container stays as it is, by reference', () => {
  const expected = injected()
  const found = { ...expected, args: null, env: expected.env!.map((one) => ({ ...one })) }
  expect(repaired(found, expected, INJECTION)).toBe(found)
})

describe('image', () => {
  const former = ['e/x:0', `e/y${DIGEST}`]
  test.each([
    ['another registry', 'e/x:1', 'evil.example/e/x:1', [], 'e/x:1'],
    ['another tag', 'e/x:1', 'e/x:2', [], 'e/x:1'],
    ['none', 'e/x:1', undefined, [], 'e/x:1'],
    ['a mirror of the digest', `e/x${DIGEST}`, `mirror/x:1${DIGEST}`, [], `mirror/x:1${DIGEST}`],
    ['another digest', `e/x${DIGEST}`, `e/x${OTHER_DIGEST}`, [], `e/x${DIGEST}`],
    ['the tag of a digest', `e/x:1${DIGEST}`, 'e/x:1', [], `e/x:1${DIGEST}`],
    ['one of the settings', 'e/x:1', 'e/x:0', former, 'e/x:0'],
    ['one of the settings by digest', 'e/x:1', `mirror/y${DIGEST}`, former, `mirror/y${DIGEST}`],
    ['a mirror of a tag of the settings', 'e/x:1', 'mirror/e/x:0', former, 'e/x:1'],
  ])('%s', (...[, exchangerImage, image, exchangerImages, kept]) => {
    expect(after({ image }, { exchangerImage, exchangerImages }).image).toBe(kept)
  })

  test.each([
    ['another probe', { startupProbe: { exec: { command: ['test', '-e', '/x'] } } }],
    ['an unknown variable of nocreds', withEnv({ name: 'NOCREDS_OLD', value: 'x' })],
    ['another hook', { lifecycle: {} }],
  ])(
    'the former one in a container of a former version, by %s, is the present one',
    (_, changes) => {
      expect(after({ image: 'e/x:0', ...changes }, { exchangerImages: former }).image).toBe('e/x:1')
    },
  )
})

test.each([
  ['e/x:1', 'IfNotPresent', 'Always', 'IfNotPresent'],
  ['e/x:1', 'Always', 'IfNotPresent', 'Always'],
  ['e/x:1', 'IfNotPresent', 'Never', 'IfNotPresent'],
  ['e/x:1', 'IfNotPresent', undefined, 'IfNotPresent'],
  [`e/x${DIGEST}`, 'IfNotPresent', 'Always', 'Always'],
  [`e/x${DIGEST}`, 'Always', 'Never', 'Never'],
] as const)('pull policy of %s by %s, found %s: %s', (exchangerImage, policy, found, kept) => {
  const settings = { exchangerImage, exchangerImagePullPolicy: policy }
  expect(after({ imagePullPolicy: found }, settings).imagePullPolicy).toBe(kept)
})

describe('variables', () => {
  test.each([
    ['NODE_OPTIONS', '--import=/tmp/leak.mjs'],
    ['NODE_EXTRA_CA_CERTS', '/tmp/ca.crt'],
    ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
    ['LD_PRELOAD', '/tmp/leak.so'],
    ['SSL_CERT_FILE', '/tmp/ca.crt'],
    ['SSLKEYLOGFILE', '/tmp/keys'],
    ['OPENSSL_CONF', '/tmp/openssl.cnf'],
    ['PATH', '/tmp'],
    ['HOSTALIASES', '/tmp/hosts'],
    ['RES_OPTIONS', 'ndots:1'],
    ['GCONV_PATH', '/tmp'],
    ['UV_THREADPOOL_SIZE', '1'],
    ['NOCREDS_STS_ENDPOINT', 'https://thief.example'],
    ['NOCREDS_UNKNOWN', 'x'],
  ])('%s is gone', (name, value) => {
    expect(after(withEnv({ name, value }))).toEqual(injected())
    expect(after({ env: [{ name, value }, ...injected().env!] })).toEqual(injected())
  })

  test.each(['HTTPS_PROXY', 'AWS_REGION', 'CORP_SITE', 'KUBERNETES_SERVICE_HOST', 'path'])(
    '%s stays, in its place',
    (name) => {
      const env = [{ name, value: 'x' }, ...injected().env!]
      expect(after({ env })).toEqual({ ...injected(), env })
    },
  )

  test('injected ones get their value again, once', () => {
    const changed = injected().env!.map((one) => ({ ...one, value: 'https://thief.example' }))
    expect(after({ env: changed })).toEqual(injected())
    expect(after({ env: [...injected().env!, ...changed] })).toEqual(injected())
    expect(after({ env: null })).toEqual(injected())
    expect(after({ env: injected().env!.slice(3) }).env).toHaveLength(injected().env!.length)
  })
})

describe('mounts', () => {
  test.each([
    ...['/', '/usr', '/usr/local/bin/node', '/lib64', '/nocreds/exchanger.mjs', '/nodejs', '/dev'],
    ...['/etc', '/etc/ssl', '/etc/hosts', '/etc/ssl/certs/..', '/proc', '/var/run', '/run/secrets'],
    ...['//nocreds', '/./nocreds', '/tmp/../nocreds', 'nocreds', '/node_modules'],
    ...['/var/run/secrets/nocreds.dev/token/', '/run/secrets/nocreds.dev/aws/config'],
  ])('at %s is gone', (mountPath) => {
    expect(after(withMount({ name: 'mine', mountPath }))).toEqual(injected())
  })

  test('of injected volumes elsewhere, or of others at reserved paths, are removed', () => {
    const [token, credentials] = injected().volumeMounts!
    expect(after(withMount({ ...token, mountPath: '/data' }))).toEqual(injected())
    expect(after(withMount({ name: 'nocreds-tls', mountPath: '/data' }))).toEqual(injected())
    const swapped = [
      { ...token!, name: 'mine' },
      { ...credentials!, readOnly: true },
    ]
    expect(after({ volumeMounts: swapped })).toEqual(injected())
    expect(after(withMount({ ...token!, readOnly: false }))).toEqual(injected())
  })

  test.each(['/data', '/tmp', '/etc/ssl/certs', '/var/run/secrets/kubernetes.io/serviceaccount'])(
    'at %s stays',
    (mountPath) => {
      const changes = withMount({ name: 'mine', mountPath })
      expect(after(changes)).toEqual({ ...injected(), ...changes })
    },
  )
})

describe('resources', () => {
  test.each([
    [{ limits: { memory: '1Gi' }, requests: { cpu: '1' } }, 'stay'],
    [{ claims: null, limits: { cpu: '1' } }, 'stay'],
    [{ claims: [{ name: 'dev' }] }, 'go'],
    [{ claims: [{ name: 'dev' }], limits: { cpu: '1' } }, 'go'],
  ])('%j of others: they %s', (resources, outcome) => {
    expect(after({ resources }).resources).toEqual(
      outcome === 'stay' ? resources : injected().resources,
    )
  })

  test('those expected for an earlier form of the pod become those of this one', () => {
    for (const resources of formsOf(DEFAULT_EXCHANGER_RESOURCES)) {
      expect(after({ resources })).toEqual(injected())
    }
  })
})

describe('securityContext', () => {
  const context = injected()['securityContext'] as Record<string, unknown>
  test.each<object>([
    { privileged: true },
    { allowPrivilegeEscalation: true },
    { capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] } },
    { capabilities: {} },
    { runAsUser: 0 },
    { runAsUser: 1000 },
    { runAsNonRoot: false },
    { readOnlyRootFilesystem: false },
    { seccompProfile: { type: 'Unconfined' } },
    { procMount: 'Unmasked' },
    { future: true },
    { constructor: 'x' },
  ])('%j is repaired', (change) => {
    expect(after({ securityContext: { ...context, ...change } })).toEqual(injected())
  })

  test.each([
    { privileged: false },
    { seLinuxOptions: { level: 's0:c1,c2' } },
    { appArmorProfile: { type: 'RuntimeDefault' } },
    { capabilities: { drop: ['ALL', 'NET_RAW'] } },
  ])('%j stays', (change) => {
    const securityContext = { ...context, ...change }
    expect(after({ securityContext })['securityContext']).toEqual(securityContext)
  })

  test('if the platform sets the user, any but root stays', () => {
    const settings = { exchangerUser: 'platform' } as const
    const without = Object.fromEntries(
      Object.entries(context).filter(
        ([field]) => !field.startsWith('runAs') || field === 'runAsNonRoot',
      ),
    )
    expect(injected({ ...INJECTION, ...settings })['securityContext']).toEqual(without)
    const user = (runAsUser: unknown, runAsGroup: unknown): unknown =>
      after({ securityContext: { ...context, runAsUser, runAsGroup } }, settings)['securityContext']
    expect(user(1_000_680_000, 0)).toEqual({ ...context, runAsUser: 1_000_680_000, runAsGroup: 0 })
    for (const none of [0, -1, 1.5, '1000'])
      expect(user(none, none === 0 ? -1 : none)).toEqual(without)
  })
})

test('any other field that is added, changed or missing is repaired, and named', () => {
  const expected = injected()
  const free = ['env', 'volumeMounts', 'resources', 'resizePolicy']
  const changed = Object.keys(expected).filter((field) => !free.includes(field))
  const added = fc
    .oneof(fc.string(), fc.constantFrom('constructor', 'toString', 'envFrom', 'ports', 'stdin'))
    .filter((field) => !(field in expected) && !free.includes(field) && field !== '__proto__')
  const value = fc.oneof(fc.constant('x'), fc.constant(false), fc.constant({}), fc.constant([]))
  fc.assert(
    fc.property(fc.oneof(added, fc.constantFrom(...changed)), value, (field, one) => {
      expect(after({ [field]: one })).toEqual(expected)
      const found = { ...expected, [field]: one }
      expect(repairedParts(found, repaired(found, expected, INJECTION))).toEqual([field])
    }),
  )
  for (const field of changed) expect(after({ [field]: undefined })).toEqual(expected)
})

test('a lost restartPolicy is restored', () => {
  expect(after({ restartPolicy: undefined }).restartPolicy).toBe('Always')
})

test('what was repaired is named, without values', () => {
  const expected = injected()
  const found = {
    ...expected,
    ...withEnv({ name: 'NODE_OPTIONS', value: 'secret' }),
    ...withMount({ name: 'mine', mountPath: '/usr' }),
    resources: { claims: [{ name: 'dev' }] },
    args: ['secret'],
  }
  expect(repairedParts(found, repaired(found, expected, INJECTION))).toEqual([
    'variable NODE_OPTIONS',
    'mount /usr',
    'args',
  ])
})
