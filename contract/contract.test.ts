import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { NocredsError } from '../shared/base/errors.ts'
import { ANNOTATIONS, readAnnotations } from './annotations.ts'
import {
  expirationOf,
  formatCredentialDocument,
  formatExpiration,
  parseCredentialDocument,
  publishedExpirationMs,
} from './credentials.ts'
import {
  certificateFromEnv,
  credentialsFromEnv,
  sidecarFromEnv,
  toEnv,
  type CertificateConfig,
  type CredentialsConfig,
} from './exchanger-env.ts'
import { DEFAULT_EXCHANGER_RESOURCES } from './exchanger-resources.ts'
import { annotationsWithoutEffect, resolveRequest } from './injection-request.ts'
import { isNamespaced, renderSessionName } from './session-name.ts'
import * as values from './values.ts'
import type { InjectionDefaults } from './wanted.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'
const DEFAULTS: InjectionDefaults = {
  audience: 'flag',
  delivery: 'process',
  region: undefined,
  exchanger: 'sidecar',
  driverAudiences: ['flag', 'nocreds.dev/authority'],
  baseRoleArn: undefined,
  certificateSource: 'authority',
  exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
}

describe('session name', () => {
  const parts = { namespace: 'team-a', serviceaccount: 'app', pod: 'app-1' }

  test('fills in, sanitises, cuts', () => {
    expect(renderSessionName('{namespace}.{serviceaccount}', parts)).toBe('team-a.app')
    expect(renderSessionName('{pod}/ä', parts)).toBe('app-1--')
    expect(renderSessionName('x', parts)).toBe('x-')
  })

  test('any valid template and any names give a valid RoleSessionName', () => {
    const template = fc
      .array(fc.oneof(fc.constantFrom('{namespace}', '{serviceaccount}', '{pod}'), fc.string()))
      .map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(template, fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,252}$/), (text, name) => {
        const parsed = values.sessionName.parse(text)
        if (parsed === undefined) return
        const all = { namespace: name, serviceaccount: name, pod: name }
        expect(renderSessionName(parsed, all)).toMatch(/^[\w+=,.@-]{2,64}$/)
        expect(renderSessionName(parsed, all)).toBe(renderSessionName(text, all))
      }),
    )
  })

  test.each([
    ['{namespace}', true],
    ['{namespace}.{serviceaccount}', true],
    ['{namespace}.', true],
    ['{namespace}-{pod}', false],
    ['{namespace}{pod}', false],
    ['{serviceaccount}.{namespace}', false],
    ['{pod}', false],
    ['team-a', false],
    ['team-a.app', false],
    ['x{namespace}.a', false],
  ])('%s needs no permission: %s', (template, needsNone) => {
    expect(isNamespaced(template)).toBe(needsNone)
  })

  test('what needs no permission tells the namespace: no two namespaces have a session name in common', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
    const near = fc
      .constantFrom('a', 'a-b', 'a--', 'a'.repeat(63), 'a'.repeat(62))
      .filter((name) => !name.endsWith('-'))
    const namespace = fc.oneof(label, near)
    const rest = fc.array(
      fc.constantFrom('{serviceaccount}', '{pod}', '{namespace}', '.', '-', 'a'),
    )
    const template = fc.oneof(
      fc.constant('{namespace}'),
      rest.map((pieces) => `{namespace}.${pieces.join('')}`),
    )
    const object = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/)
    const session = fc.tuple(template, object, object)
    fc.assert(
      fc.property(namespace, namespace, session, session, (one, other, ofOne, ofOther) => {
        fc.pre(one !== other)
        const rendered = [[one, ofOne] as const, [other, ofOther] as const].map(
          ([name, [text, serviceaccount, pod]]) => {
            expect(isNamespaced(text)).toBe(true)
            return renderSessionName(text, { namespace: name, serviceaccount, pod })
          },
        )
        expect(rendered[0]).not.toBe(rendered[1])
      }),
      { numRuns: 500 },
    )
  })

  test.each(['', '{user}', '{', 'a}b', 'x'.repeat(257)])('refuses %j', (template) => {
    expect(values.sessionName.parse(template)).toBeUndefined()
  })
})

describe('annotations', () => {
  const code = (action: () => unknown): unknown => {
    try {
      action()
    } catch (error) {
      return error
    }
    throw new Error('nothing was thrown')
  }

  const OUT_OF_BOUNDS: [string, string][] = [
    ['role-arn', 'a b'],
    ['delivery', 'carrier-pigeon'],
    ['session-duration', '1799'],
    ['session-duration', '43201'],
    ['session-duration', '3600s'],
    ['session-duration', '1e4'],
    ['session-duration', '-3600'],
    ['session-name', '{user}'],
    ['exchanger-resources', 'limits.cpu=1m'],
    ['exchanger-resources', ''],
    ['audience', 'two words'],
    ['audience', ''],
    ['token-expiration', '599'],
    ['token-expiration', '86401'],
    ['region', 'Frankfurt'],
    ['inject', 'no'],
  ]
  test.each(OUT_OF_BOUNDS)('%s: %j is out of bounds, and the message says so', (key, value) => {
    const error = code(() =>
      readAnnotations('Pod', 'team-a/app', { [`nocreds.dev/${key}`]: value }),
    )
    const { allowed } = ANNOTATIONS.Pod[key as keyof typeof ANNOTATIONS.Pod]
    expect(error).toMatchObject({
      code: 'ERR_ANNOTATION_OUT_OF_BOUNDS',
      message: `Pod team-a/app: annotation nocreds.dev/${key} is ${JSON.stringify(value)}; allowed: ${allowed}`,
    })
  })

  test.each([
    ['Pod', 'role'],
    ['Pod', 'constructor'],
    ['ServiceAccount', 'inject'],
    ['ServiceAccount', 'permitted-roles'],
    ['Namespace', 'role-arn'],
  ] as const)('%s: %s is unknown there', (kind, key) => {
    const error = code(() => readAnnotations(kind, 'x', { [`nocreds.dev/${key}`]: 'v' }))
    expect(error).toMatchObject({ code: 'ERR_ANNOTATION_UNKNOWN' })
  })

  test('the deliveries of a Namespace are a list', () => {
    const key = 'nocreds.dev/permitted-deliveries'
    expect(readAnnotations('Namespace', 'x', { [key]: ' process ,web-identity' })).toEqual({
      'permitted-deliveries': ['process', 'web-identity'],
    })
    expect(readAnnotations('Namespace', 'x', { [key]: '' })).toEqual({ 'permitted-deliveries': [] })
    expect(code(() => readAnnotations('Namespace', 'x', { [key]: 'process,x' }))).toMatchObject({
      code: 'ERR_ANNOTATION_OUT_OF_BOUNDS',
    })
  })

  test('annotations without the prefix are ignored', () => {
    expect(readAnnotations('Pod', 'x', { 'nocreds.example/role': '', team: 'a' })).toEqual({})
  })

  test('Pod > ServiceAccount > flag', () => {
    const defaults = { ...DEFAULTS, region: 'eu-west-1' }
    expect(resolveRequest({}, {}, defaults)).toBeUndefined()
    expect(resolveRequest({}, { 'role-arn': ROLE }, defaults)?.credentials).toMatchObject({
      audience: 'flag',
      delivery: 'process',
      region: 'eu-west-1',
      sessionDurationSeconds: 3600,
      tokenExpirationSeconds: 3600,
      sessionName: '{namespace}.{serviceaccount}',
    })
    const request = resolveRequest(
      { audience: 'pod', 'role-arn': `${ROLE}2` },
      { 'role-arn': ROLE, audience: 'sa', delivery: 'endpoint', 'session-duration': 1800 },
      defaults,
    )
    expect(request?.credentials).toMatchObject({
      role: { name: 'app2' },
      audience: 'pod',
      delivery: 'endpoint',
      sessionDurationSeconds: 1800,
    })
    expect(request?.certificate).toBeUndefined()
  })

  test('a certificate alone, beside a role, or not at all', () => {
    const defaults = DEFAULTS
    const account = { certificate: 'true', 'certificate-dns-names': ['web'] } as const
    expect(resolveRequest({}, account, defaults)).toEqual({
      credentials: undefined,
      certificate: { durationSeconds: 3600, dnsNames: ['web'] },
      exchanger: 'sidecar',
      skipContainers: [],
      exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
    })
    const pod = { 'certificate-duration': 7200, 'certificate-dns-names': [], 'role-arn': ROLE }
    expect(resolveRequest(pod, account, defaults)).toMatchObject({
      credentials: { role: { name: 'app' } },
      certificate: { durationSeconds: 7200, dnsNames: [] },
    })
    expect(resolveRequest({ certificate: 'false' }, account, defaults)).toBeUndefined()
  })

  test('annotations about a certificate have no effect if none is requested', () => {
    const how = { 'certificate-duration': 7200, 'certificate-dns-names': ['web'] }
    expect(annotationsWithoutEffect({}, how)).toEqual([
      'nocreds.dev/certificate-duration',
      'nocreds.dev/certificate-dns-names',
    ])
    expect(annotationsWithoutEffect({ 'certificate-duration': 3600 }, {})).toHaveLength(1)
    expect(annotationsWithoutEffect({}, {})).toEqual([])
    expect(annotationsWithoutEffect({ certificate: 'true' }, how)).toEqual([])
    expect(annotationsWithoutEffect({ certificate: 'false' }, how)).toEqual([])
  })
})

/** As the kubelet does it: `$$` is a dollar sign; nothing here refers to another variable. */
function asTheKubeletPassesIt(env: ReturnType<typeof toEnv>, pod: string): Record<string, string> {
  const own = { 'metadata.name': pod, 'metadata.uid': POD_UID }
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => [
      name,
      value?.replaceAll('$$', '$') ?? own[valueFrom?.fieldRef.fieldPath as keyof typeof own],
    ]),
  )
}

const POD_UID = '0b7ee3c1-8a51-4a0b-9d4f-3f9a3c7d9f10'

const CA = '# before\n-----BEGIN CERTIFICATE-----\nAAAA\nBB==\n-----END CERTIFICATE-----\n'

const anyRoles: fc.Arbitrary<CredentialsConfig> = fc.record({
  roleArn: fc
    .stringMatching(/^[!-~]{0,20}$/)
    .map((path) => `arn:aws:iam::111122223333:role/${path}/app`),
  delivery: fc.constantFrom('process', 'endpoint'),
  sessionDurationSeconds: fc.integer({ min: 1800, max: 43_200 }),
  sessionName: fc.constantFrom('{namespace}.{serviceaccount}', '{pod}', 'fixed'),
  namespace: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  serviceAccount: fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
  pod: fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
  audience: fc.stringMatching(/^[!-~]{1,40}$/),
  region: fc.constantFrom(undefined, 'eu-central-1', 'us-gov-west-1'),
  containerRoleArns: fc.constantFrom(undefined, [
    'arn:aws:iam::444455556666:role/$/b',
    'arn:aws:iam::444455556666:role/c',
  ]),
  targetRoleArn: fc.constantFrom(undefined, 'arn:aws:iam::444455556666:role/$/target'),
  externalId: fc.constantFrom(undefined, 'a/B:1'),
  sessionTags: fc.constantFrom(undefined, [
    { key: 'team', value: 'a=b' },
    { key: 'pod', value: '{pod}' },
  ]),
  defaultTags: fc.constantFrom(undefined, {
    podUid: POD_UID,
    clusterArn: 'arn:aws:eks:eu-central-1:111122223333:cluster/one',
    clusterName: undefined,
  }),
  sessionPolicy: fc.constantFrom(undefined, '{"Resource":"${aws:username} $(NOCREDS_POD)"}'),
  sessionPolicyArns: fc.constantFrom(undefined, [
    'arn:aws:iam::aws:policy/ReadOnlyAccess',
    'arn:aws:iam::111122223333:policy/a,b',
  ]),
  stsEndpoint: fc.constantFrom(undefined, 'https://sts.example.com', 'http://127.0.0.1:4566'),
  stsProxy: fc.constantFrom(undefined, 'http://proxy.example.com:3128'),
  stsNoProxy: fc.constantFrom(undefined, '10.0.0.0/8, .example.com'),
  stsCa: fc.constantFrom(undefined, CA),
  tokenFile: fc.stringMatching(/^\/[ -~]{1,20}$/),
  credentialsFolder: fc.stringMatching(/^\/[ -~]{1,20}$/),
  terminationMessageFile: fc.stringMatching(/^\/[ -~]{1,20}$/),
})

/** A target role is that of all containers. */
const anyConfig = anyRoles.filter(
  ({ containerRoleArns, targetRoleArn }) =>
    containerRoleArns === undefined || targetRoleArn === undefined,
)

const anyCertificate: fc.Arbitrary<CertificateConfig> = fc.record({
  namespace: fc.constant('team-a'),
  serviceAccount: fc.constant('app'),
  pod: fc.constant('app-1'),
  authorityUrl: fc.constantFrom('https://nocreds-authority.nocreds-system.svc', 'https://a:8444'),
  authorityFolder: fc.stringMatching(/^\/[ -~]{1,20}$/),
  tlsFolder: fc.stringMatching(/^\/[ -~]{1,20}$/),
  terminationMessageFile: fc.constant('/dev/termination-log'),
  durationSeconds: fc.integer({ min: 3600, max: 86_400 }),
  dnsNames: fc.constantFrom(undefined, ['web'], ['web', 'web.team-a.svc', 'www.example.com']),
})

describe('exchanger env', () => {
  const good = (): Record<string, string> =>
    asTheKubeletPassesIt(toEnv(fc.sample(anyConfig, { seed: 1, numRuns: 1 })[0]), 'app-1')

  test('what the webhook writes, the exchanger reads back', () => {
    fc.assert(
      fc.property(anyConfig, (config) => {
        const { pod, ...written } = config
        expect(credentialsFromEnv(asTheKubeletPassesIt(toEnv(written), pod))).toEqual(config)
      }),
    )
  })

  test('a sidecar may have credentials, a certificate, or both', () => {
    fc.assert(
      fc.property(anyConfig, anyCertificate, (credentials, certificate) => {
        const { pod, ...written } = certificate
        const alone = asTheKubeletPassesIt(toEnv(undefined, written), pod)
        expect(sidecarFromEnv(alone)).toEqual({ credentials: undefined, certificate })
        expect(certificateFromEnv(alone)).toEqual(certificate)

        const { namespace, serviceAccount, terminationMessageFile } = certificate
        const workload = { namespace, serviceAccount, terminationMessageFile }
        const beside = { ...credentials, ...workload }
        const both = asTheKubeletPassesIt(toEnv(beside, written), pod)
        expect(sidecarFromEnv(both)).toEqual({ credentials: { ...beside, pod }, certificate })
        expect(new Set(Object.keys(both)).size).toBe(toEnv(beside, written).length)
      }),
    )
    expect(() => sidecarFromEnv({})).toThrow(
      expect.objectContaining({ message: expect.stringContaining('NOCREDS_ROLE_ARN is missing') }),
    )
  })

  test('a missing, unknown or bad variable is named, with what is allowed', () => {
    expect(() => credentialsFromEnv({})).toThrow(
      expect.objectContaining({
        code: 'ERR_ENV_MISSING',
        message: expect.stringContaining('NOCREDS_ROLE_ARN is missing'),
      }),
    )
    expect(() => credentialsFromEnv({ ...good(), NOCREDS_ROLE: 'x' })).toThrow(
      expect.objectContaining({ code: 'ERR_ENV_UNKNOWN' }),
    )
    expect(() => credentialsFromEnv({ ...good(), NOCREDS_SESSION_DURATION_SECONDS: '60' })).toThrow(
      expect.objectContaining({
        code: 'ERR_ENV_OUT_OF_BOUNDS',
        message: expect.stringContaining(
          'NOCREDS_SESSION_DURATION_SECONDS is "60"; allowed: whole seconds from 1800',
        ),
      }),
    )
    expect(credentialsFromEnv({ ...good(), PATH: '/bin' })).toMatchObject({ pod: 'app-1' })
  })

  test('what the kubelet adds for a Service named nocreds-x is ignored', () => {
    const links = [
      'NOCREDS_DEMO_SERVICE_HOST',
      'NOCREDS_DEMO_SERVICE_PORT',
      'NOCREDS_DEMO_SERVICE_PORT_HTTPS',
      'NOCREDS_DEMO_PORT',
      'NOCREDS_DEMO_PORT_443_TCP',
      'NOCREDS_DEMO_PORT_443_TCP_PROTO',
      'NOCREDS_DEMO_PORT_443_TCP_ADDR',
    ]
    const env = { ...good(), ...Object.fromEntries(links.map((name) => [name, '10.0.0.1'])) }
    expect(credentialsFromEnv(env)).toMatchObject({ pod: 'app-1' })
  })
})

describe('credential document', () => {
  const document = {
    Version: 1,
    AccessKeyId: 'A',
    SecretAccessKey: 'S',
    SessionToken: 'T',
    Expiration: '2026-11-24T12:00:00Z',
    AccountId: '111122223333',
  } as const

  test('round trip', () => {
    expect(parseCredentialDocument(formatCredentialDocument(document))).toEqual(document)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (epochMs) => {
        const Expiration = formatExpiration(epochMs)
        expect(expirationOf({ ...document, Expiration })).toBe(epochMs - (epochMs % 1000))
      }),
    )
  })

  test.each([
    ['', 'not JSON'],
    ['[]', 'Version'],
    ['null', 'object'],
    [JSON.stringify({ ...document, Version: 2 }), 'Version'],
    [JSON.stringify({ ...document, SessionToken: '' }), 'SessionToken'],
    [JSON.stringify({ ...document, Expiration: '2026-11-24T12:00:00+00:00' }), 'Expiration'],
    [JSON.stringify({ ...document, Expiration: '2026-13-24T12:00:00Z' }), 'Expiration'],
    ['x'.repeat(20_000), 'too large'],
  ])('refuses %.40s without quoting it', (text, why) => {
    try {
      parseCredentialDocument(text)
      throw new Error('it was accepted')
    } catch (error) {
      expect(error).toBeInstanceOf(NocredsError)
      expect(String(error)).toContain(why)
    }
  })

  test('the published expiration leaves 5 minutes, or a tenth of a short lifetime', () => {
    expect(publishedExpirationMs(3_600_000, 3_600_000)).toBe(3_300_000)
    expect(publishedExpirationMs(1_800_000, 1_800_000)).toBe(1_620_000)
    expect(publishedExpirationMs(20_000, 20_000)).toBe(18_000)
  })
})
