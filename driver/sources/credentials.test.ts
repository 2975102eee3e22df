import { describe, expect, test } from '@jest/globals'
import type { CredentialDocument } from '../../contract/credentials.ts'
import type { DriverCredentials } from '../../contract/driver-volume.ts'
import type { Store } from '../../exchanger/publish/store.ts'
import { claimsOf, unsignedToken } from '../../test/fakes/driver-samples.ts'
import { collectingLog } from '../../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { createMetrics } from '../metrics.ts'
import type { Pod } from '../pod-tokens.ts'
import { credentialSource, type AssumeRole } from './credentials.ts'

const WANTED: DriverCredentials = {
  roleArn: 'arn:aws:iam::111122223333:role/app',
  sessionDurationSeconds: 3600,
  sessionName: '{namespace}.{pod}',
  audience: 'sts.amazonaws.com',
  region: 'eu-central-1',
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
  const assumeRole: AssumeRole = (config, _jwt, signal) => {
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
    assumeRole,
  })
  const start = (who: Pod): Promise<unknown> => {
    const jwt = unsignedToken({ ...claimsOf(who), aud: WANTED.audience })
    const token = { jwt, expiresAtMs: clock.now() + 3_600_000 }
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
    expect(new Set(codes)).toEqual(new Set(['ExchangeTimeout']))
    void start(pod('slow', 'late'))
    await clock.settle()
    expect(asked.at(-1)).toBe('slow/late')
  })
})

test('pods share an exchange if nothing of it is their own', () => {
  const { source } = harness()
  const shared = { ...WANTED, sessionName: '{namespace}.{serviceaccount}' }
  const keyOf = (who: Pod, wanted: DriverCredentials, serviceAccountUid = 'uid'): string =>
    source.keyOf(who, wanted, { jwt: who.name, expiresAtMs: 0, serviceAccountUid })
  const [one, other] = [pod('team-a', 'app-1'), pod('team-a', 'app-2')]
  expect(keyOf(one, shared)).toBe(keyOf(other, shared))
  expect(keyOf(one, WANTED)).not.toBe(keyOf(other, WANTED))
  expect(keyOf(one, shared)).not.toBe(keyOf(pod('team-b', 'app-1'), shared))
  expect(keyOf(one, shared)).not.toBe(keyOf(one, { ...shared, region: undefined }))
  expect(keyOf(one, shared)).not.toBe(keyOf(one, shared, 'of the same name, made again'))
})
