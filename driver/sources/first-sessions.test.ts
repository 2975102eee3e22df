import { describe, expect, test } from '@jest/globals'
import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import type { Session } from '../../exchanger/credentials/session.ts'
import { CONFIG, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { VirtualClock } from '../../test/fakes/virtual-clock.ts'
import { FirstSessions } from './first-sessions.ts'

const MINUTE = 60_000
const UID = 'uid-1'

function harness() {
  const clock = new VirtualClock()
  const sessions = new FirstSessions(clock)
  const made: Session[] = []
  const make = (): Promise<Session> => {
    const session = {
      accessKeyId: `KEY-${made.length}`,
      secretAccessKey: 'secret',
      sessionToken: 'session',
      expiresAtMs: clock.now() + 15 * MINUTE,
      lifetimeMs: 15 * MINUTE,
      stsClockOffsetMs: 0,
    }
    made.push(session)
    return Promise.resolve(session)
  }
  /** The key of the session that is lent. */
  const lent = async (config: Partial<ExchangeConfig> = {}, uid = UID): Promise<string> => {
    const lend = sessions.lendFor({ ...CONFIG, ...config }, uid)
    return (await lend(make, (session) => Promise.resolve(session))).accessKeyId
  }
  return { clock, sessions, made, make, lent }
}

describe('a session of the first role', () => {
  test('is made once for all that ask at once, and lent until 5 minutes before its end', async () => {
    const { clock, made, lent } = harness()
    expect(await Promise.all([lent(), lent({ pod: 'app-2' }), lent()])).toEqual(
      Array.from({ length: 3 }, () => 'KEY-0'),
    )
    await clock.advance(10 * MINUTE - 1)
    expect(await lent()).toBe('KEY-0')
    await clock.advance(1)
    expect(await lent()).toBe('KEY-1')
    expect(made).toHaveLength(2)
  })

  test.each<[string, Partial<ExchangeConfig>, string]>([
    ['namespace', { namespace: 'team-b' }, UID],
    ['ServiceAccount', { serviceAccount: 'other' }, UID],
    ['ServiceAccount of the same name, made again', {}, 'uid-2'],
    ['role', { roleArn: 'arn:aws:iam::111122223333:role/other' }, UID],
    ['session name', { sessionName: '{pod}' }, UID],
    ['audience', { audience: 'other' }, UID],
    ['region', { region: undefined }, UID],
  ])('is not lent to another %s', async (_what, config, uid) => {
    const { lent } = harness()
    expect([await lent(), await lent(config, uid)]).toEqual(['KEY-0', 'KEY-1'])
  })
})

describe('after a failure', () => {
  const refuse = (): Promise<never> => Promise.reject(new Error('refused'))

  test('of its own: all that waited are told, and the next one makes it again', async () => {
    const { sessions, lent } = harness()
    const lend = sessions.lendFor(CONFIG, UID)
    const use = (session: Session): Promise<Session> => Promise.resolve(session)
    const failed = [lend(refuse, use), lend(refuse, use)].map((one) => thrownBy(() => one))
    expect(await Promise.all(failed)).toEqual([new Error('refused'), new Error('refused')])
    expect(sessions.size).toBe(0)
    expect(await lent()).toBe('KEY-0')
  })

  test('of a step that used it: it is lent no more', async () => {
    const { sessions, make, lent } = harness()
    expect(await lent()).toBe('KEY-0')
    await thrownBy(() => sessions.lendFor(CONFIG, UID)(make, refuse))
    expect(await lent()).toBe('KEY-1')
  })
})

test('a node with any number of ServiceAccounts keeps a few hundred', async () => {
  const { sessions, lent } = harness()
  for (let index = 0; index < 1000; index += 1) await lent({ serviceAccount: `app-${index}` })
  expect(sessions.size).toBeLessThanOrEqual(257)
  expect(await lent({ serviceAccount: 'app-999' })).toBe('KEY-999')
})
