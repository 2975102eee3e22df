import { describe, expect, test } from '@jest/globals'
import type { CredentialDocument } from '../../contract/credentials.ts'
import type { DriverCredentials } from '../../contract/driver-volume.ts'
import type { Store } from '../../exchanger/publish/store.ts'
import { claimsOf, unsignedToken } from '../../test/fakes/driver-samples.ts'
import { collectingLog } from '../../test/fakes/exchanger-samples.ts'
import { ROLE_ALONE } from '../../test/fakes/role-alone.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createMetrics } from '../metrics.ts'
import type { Pod } from '../pod-tokens.ts'
import { credentialSource, type SendToSts } from './credentials.ts'

const WANTED: DriverCredentials = {
  roleArn: 'arn:aws:iam::111122223333:role/app',
  sessionDurationSeconds: 3600,
  sessionName: '{namespace}.{pod}',
  audience: 'sts.amazonaws.com',
  region: 'eu-central-1',
  ...ROLE_ALONE,
  defaultSessionTags: undefined,
}

const pod = (namespace: string, name: string): Pod => ({
  uid: `${namespace}-${name}`,
  name,
  namespace,
  serviceAccount: 'app',
})

function memoryStore(): Store<CredentialDocument> {
  let current: CredentialDocument | undefined
  return {
    current: () => current,
    publish: (document) => Promise.resolve().then(() => void (current = document)),
    withdraw: () => Promise.resolve().then(() => void (current = undefined)),
  }
}

/** STS never answers the namespace `slow`, and every other one at once. */
function harness() {
  const clock = new VirtualClock(undefined, 5)
  const asked: string[] = []
  const sendToSts: SendToSts = (config, _request, _signer, signal) => {
    asked.push(`${config.namespace}/${config.pod}`)
    const Credentials = {
      AccessKeyId: 'KEY',
      SecretAccessKey: 'secret',
      SessionToken: 'session',
      Expiration: new Date(clock.now() + 3_600_000),
    }
    if (config.namespace !== 'slow') {
      return Promise.resolve({ output: { Credentials, $metadata: {} }, stsNowMs: clock.now() })
    }
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('aborted'))
      })
    })
  }
  const source = credentialSource({
    clock,
    random: () => 0.5,
    log: collectingLog().log,
    metrics: createMetrics(clock, () => 0),
    volumes: {
      podsFolder: '/nowhere',
      ownerId: 0,
      uniqueName: () => '',
      isMemoryMount: () => Promise.resolve(true),
    },
    sts: { stsEndpoint: undefined, stsProxy: undefined, stsNoProxy: undefined, stsCa: undefined },
    cluster: { clusterArn: undefined, clusterName: undefined },
    sendToSts,
  })
  const start = (who: Pod): Promise<unknown> => {
    const jwt = unsignedToken({ ...claimsOf(who), aud: WANTED.audience })
    const token = { jwt, expiresAtMs: clock.now() + 3_600_000, serviceAccountUid: 'uid' }
    const member = { uid: who.uid, store: memoryStore(), token, isServed: false }
    return source
      .make(who, WANTED, () => undefined)
      .join(member)
      .then(
        () => 'joined',
        (error: unknown) => error,
      )
  }
  return { clock, asked, start, source }
}

describe('an STS that hangs', () => {
  test('delays its own namespace alone, and frees its slots', async () => {
    const { clock, asked, start } = harness()
    const slow = Array.from({ length: 40 }, (_, index) => start(pod('slow', `app-${index}`)))
    await clock.settle()
    expect(asked).toHaveLength(4)
    const other = start(pod('other', 'app'))
    await clock.settle()
    expect(await other).toBe('joined')
    await clock.advance(30_000)
    const codes = (await Promise.all(slow)).map((error) => (error as { code: string }).code)
    // Those that were asked of STS, and those that waited for their turn.
    expect(new Set(codes)).toEqual(new Set(['Timeout', 'ExchangeTimeout']))
    void start(pod('slow', 'late'))
    await clock.settle()
    expect(asked.at(-1)).toBe('slow/late')
  })
})

type KeyOf = (pod: Pod, wanted: DriverCredentials, serviceAccountUid?: string) => string

function keysOf(source: ReturnType<typeof harness>['source']): KeyOf {
  return (who, wanted, serviceAccountUid = 'uid') =>
    source.keyOf(who, wanted, { jwt: who.name, expiresAtMs: 0, serviceAccountUid })
}

test('pods share an exchange if nothing of it is their own', () => {
  const keyOf = keysOf(harness().source)
  const shared = { ...WANTED, sessionName: '{namespace}.{serviceaccount}' }
  const [one, other] = [pod('team-a', 'app-1'), pod('team-a', 'app-2')]
  expect(keyOf(one, shared)).toBe(keyOf(other, shared))
  expect(keyOf(one, WANTED)).not.toBe(keyOf(other, WANTED))
  expect(keyOf(one, shared)).not.toBe(keyOf(pod('team-b', 'app-1'), shared))
  expect(keyOf(one, shared)).not.toBe(keyOf(one, { ...shared, region: undefined }))
  expect(keyOf(one, shared)).not.toBe(keyOf(one, shared, 'of the same name, made again'))
})

test('each role of a pod is shared as if it were the only one', () => {
  const { source } = harness()
  const keyOf = keysOf(source)
  const shared = { ...WANTED, sessionName: '{namespace}.{serviceaccount}' }
  const [second, third] = [`${WANTED.roleArn}-2`, `${WANTED.roleArn}-3`]
  const parts = source.partsOf({ ...shared, containerRoleArns: [second, third] })
  expect(parts.map(({ volume }) => volume)).toEqual([
    'nocreds-credentials',
    'nocreds-credentials-1',
    'nocreds-credentials-2',
  ])
  expect(source.partsOf(shared)).toEqual([{ volume: 'nocreds-credentials', wanted: shared }])
  const [one, other] = [pod('team-a', 'app-1'), pod('team-a', 'app-2')]
  for (const [index, roleArn] of [WANTED.roleArn, second, third].entries())
    expect(keyOf(one, parts[index]!.wanted)).toBe(keyOf(other, { ...shared, roleArn }))
  expect(new Set(parts.map(({ wanted }) => keyOf(one, wanted))).size).toBe(3)
})

test('what each pod has of its own in tags is shared with no other', () => {
  const keyOf = keysOf(harness().source)
  const [one, other] = [pod('team-a', 'app-1'), pod('team-a', 'app-2')]
  const shared: DriverCredentials = {
    ...WANTED,
    sessionName: '{namespace}',
    targetRoleArn: 'arn:aws:iam::444455556666:role/data',
    sessionTags: [{ key: 'team', value: 'a' }],
    defaultSessionTags: 'false',
  }
  expect(keyOf(one, shared)).toBe(keyOf(other, shared))
  const ofPod: Partial<DriverCredentials>[] = [
    { defaultSessionTags: 'true' },
    { sessionTags: [{ key: 'run', value: '{pod}' }] },
  ]
  for (const more of ofPod)
    expect(keyOf(one, { ...shared, ...more })).not.toBe(keyOf(other, { ...shared, ...more }))
  const others: Partial<DriverCredentials>[] = [
    { targetRoleArn: undefined },
    { externalId: 'abc' },
    { sessionTags: [{ key: 'team', value: 'b' }] },
    { sessionPolicy: '{}' },
    { sessionPolicyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] },
  ]
  for (const more of others) expect(keyOf(one, { ...shared, ...more })).not.toBe(keyOf(one, shared))
})
