import { describe, expect, test } from '@jest/globals'
import { applyPatch } from 'rfc6902'
import { SETTINGS } from '../../../test/fakes/webhook-settings.ts'
import { decidePod, type Settings } from '../decide-pod.ts'
import { podSchema, type Container, type EnvVar } from '../pod.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'
const OTHER = 'arn:aws:iam::111122223333:role/other'
const ENDPOINT = 'https://sts.example.com'

/** As it goes over the wire. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

interface Given {
  readonly settings?: Partial<Settings>
  readonly role?: string
  readonly env?: readonly object[]
  readonly region?: string
  readonly delivery?: string
}

interface Found {
  readonly env: readonly EnvVar[]
  readonly mounts: readonly string[]
  readonly warnings: readonly string[]
}

/** One container as it is admitted; a second pass changes nothing. */
function admitted(given: Given): Found {
  const { role = ROLE, region, delivery = 'web-identity' } = given
  const raw = {
    metadata: { name: 'app' },
    spec: { containers: [{ name: 'app', ...(given.env && { env: copy(given.env) }) }] },
  }
  const decide = (pod: unknown): ReturnType<typeof decidePod> =>
    decidePod(
      {
        pod: podSchema.parse(pod),
        namespace: 'team-a',
        namespaceAnnotations: {
          'nocreds.dev/permitted-roles': '.+',
          'nocreds.dev/permitted-deliveries': 'process,web-identity',
        },
        serviceAccountAnnotations: {
          'nocreds.dev/role-arn': role,
          'nocreds.dev/delivery': delivery,
          ...(region && { 'nocreds.dev/region': region }),
        },
      },
      { ...SETTINGS, ...given.settings },
    )
  const verdict = decide(raw)
  if (verdict.decision === 'denied') throw new Error(verdict.message)
  expect(applyPatch(raw, copy([...verdict.patch])).every((one) => one === null)).toBe(true)
  expect(decide(raw)).toMatchObject({ decision: 'unchanged', warnings: verdict.warnings })
  const [container] = raw.spec.containers as unknown as Container[]
  const mounts = container?.volumeMounts ?? []
  return {
    env: container?.env ?? [],
    mounts: mounts.map(({ name }) => name),
    warnings: verdict.warnings,
  }
}

const namesOf = ({ env }: Found): string[] => env.map(({ name }) => name)
const valueOf = ({ env }: Found, name: string): unknown =>
  env.find((one) => one.name === name)?.value

describe('web-identity', () => {
  test('uses the STS of the settings, and the regional one if there is a region', () => {
    const found = admitted({ settings: { stsEndpoint: ENDPOINT, region: 'eu-central-1' } })
    expect(valueOf(found, 'AWS_ENDPOINT_URL_STS')).toBe(ENDPOINT)
    expect(valueOf(found, 'AWS_STS_REGIONAL_ENDPOINTS')).toBe('regional')
    expect(valueOf(found, 'AWS_REGION')).toBe('eu-central-1')
    expect(found.warnings).toEqual([])
  })

  test('without endpoint and region gets neither variable', () => {
    const names = namesOf(admitted({}))
    expect(names).not.toContain('AWS_ENDPOINT_URL_STS')
    expect(names).not.toContain('AWS_STS_REGIONAL_ENDPOINTS')
  })

  test('a region of the container`s own counts as well', () => {
    for (const from of [{ value: 'eu-west-1' }, { valueFrom: { configMapKeyRef: {} } }]) {
      const found = admitted({ env: [{ name: 'AWS_REGION', ...from }] })
      expect(valueOf(found, 'AWS_STS_REGIONAL_ENDPOINTS')).toBe('regional')
    }
    const empty = admitted({ env: [{ name: 'AWS_REGION', value: '' }] })
    expect(namesOf(empty)).not.toContain('AWS_STS_REGIONAL_ENDPOINTS')
  })

  test('variables of the container stay; another endpoint is a warning', () => {
    const env = [
      { name: 'AWS_STS_REGIONAL_ENDPOINTS', value: 'legacy' },
      { name: 'AWS_ENDPOINT_URL_STS', value: 'https://other.example.com' },
    ]
    const found = admitted({
      env,
      settings: { stsEndpoint: ENDPOINT, region: 'eu-central-1' },
    })
    expect(found.env.slice(0, 2)).toEqual(env)
    expect(found.warnings).toEqual([
      expect.stringContaining(
        'AWS_ENDPOINT_URL_STS, which takes precedence over the STS endpoint of nocreds',
      ),
    ])
  })

  test('other deliveries get neither: the sidecar calls STS', () => {
    const settings = { stsEndpoint: ENDPOINT, region: 'eu-central-1' }
    const names = namesOf(admitted({ settings, delivery: 'process' }))
    expect(names.filter((name) => name.includes('STS'))).toEqual([])
  })

  test.each([
    ['another', { value: OTHER }],
    ['an empty one', { value: '' }],
    ['one with valueFrom', { valueFrom: { secretKeyRef: { name: 'mine', key: 'role' } } }],
    ['one that the kubelet puts together', { value: '$(PREFIX)/app' }],
  ])('a role of the container`s own, %s: nothing that goes with the token', (_what, from) => {
    const found = admitted({
      env: [{ name: 'AWS_ROLE_ARN', ...from }],
      settings: { stsEndpoint: ENDPOINT, region: 'eu-central-1' },
    })
    expect(namesOf(found)).toEqual([
      'AWS_ROLE_ARN',
      'AWS_EC2_METADATA_DISABLED',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
    ])
    expect(found.mounts).toEqual([])
    expect(found.warnings).toEqual([
      `nocreds: container app sets AWS_ROLE_ARN to another role or with valueFrom, so it gets no token, no mount and no session name; remove it to get ${ROLE}`,
    ])
  })

  test('the last of two counts, so both must be the injected role', () => {
    const env = [ROLE, OTHER].map((value) => ({ name: 'AWS_ROLE_ARN', value }))
    expect(admitted({ env }).mounts).toEqual([])
  })

  test('the same role is not another role', () => {
    const found = admitted({ env: [{ name: 'AWS_ROLE_ARN', value: ROLE }] })
    expect(found.mounts).toEqual(['nocreds-token'])
    expect(found.warnings).toEqual([])
  })

  test.each([
    [{ stsProxy: 'http://proxy:3128' }, true],
    [{ stsCa: 'PEM' }, true],
    [{}, false],
  ])('with %j has a warning that it gets neither: %s', (settings, isTold) => {
    const { warnings } = admitted({ settings })
    expect(warnings).toHaveLength(isTold ? 1 : 0)
    if (isTold) expect(warnings[0]).toContain('gets neither the proxy nor the CA')
    expect(admitted({ settings, delivery: 'process' }).warnings).toEqual([])
  })
})

describe('region', () => {
  test.each([
    ['arn:aws:iam::111122223333:role/app', 'eu-central-1', 'eu-central-1'],
    ['arn:aws-us-gov:iam::111122223333:role/app', 'eu-central-1', 'us-gov-west-1'],
    ['arn:aws-cn:iam::111122223333:role/app', 'eu-central-1', 'cn-north-1'],
    ['arn:aws-cn:iam::111122223333:role/app', 'cn-northwest-1', 'cn-northwest-1'],
    ['arn:aws:iam::111122223333:role/app', 'us-gov-east-1', 'us-east-1'],
    ['arn:aws-iso-b:iam::111122223333:role/app', 'us-iso-east-1', 'us-isob-east-1'],
    ['arn:aws:iam::111122223333:role/app', undefined, undefined],
  ])('of %s with the flag %s: %s', (role, region, expected) => {
    const found = admitted({ role, settings: { region } })
    expect(valueOf(found, 'AWS_REGION')).toBe(expected)
    expect(found.warnings).toEqual([])
  })

  test('that does not match the role is a warning if it is annotated', () => {
    const found = admitted({ region: 'us-gov-west-1', delivery: 'process' })
    expect(valueOf(found, 'AWS_REGION')).toBe('us-gov-west-1')
    expect(found.warnings).toEqual([
      expect.stringContaining(
        'nocreds.dev/region is us-gov-west-1, which is in partition aws-us-gov',
      ),
    ])
  })

  test.each([
    ['empty', [{ name: 'AWS_REGION', value: '' }]],
    ['both empty', [{ name: 'AWS_REGION', value: '' }, { name: 'AWS_DEFAULT_REGION' }]],
    ['null', [{ name: 'AWS_DEFAULT_REGION', value: null }]],
  ])('%s counts as none', (_what, env) => {
    const found = admitted({ env, region: 'eu-central-1', delivery: 'process' })
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) {
      expect(found.env.filter((one) => one.name === name)).toEqual([
        { name, value: 'eu-central-1' },
      ])
    }
  })

  test.each([
    [
      'one of two',
      [
        { name: 'AWS_REGION', value: '' },
        { name: 'AWS_DEFAULT_REGION', value: 'x-y' },
      ],
    ],
    ['with valueFrom', [{ name: 'AWS_REGION', valueFrom: { configMapKeyRef: {} } }]],
  ])('of the container`s own, %s: stays as it is', (_what, env) => {
    const found = admitted({ env, region: 'eu-central-1', delivery: 'process' })
    expect(found.env.filter(({ name }) => name.includes('REGION'))).toEqual(env)
  })
})
