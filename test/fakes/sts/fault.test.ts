import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { VirtualClock } from '../virtual-clock.ts'
import { startSts, type Sts } from './server.ts'

const FORM = 'Action=GetCallerIdentity&Version=2011-06-15'

let clock: VirtualClock
let sts: Sts

beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2027, 0, 2, 3, 4, 5))
  sts = await startSts({ clock, issuers: [], roles: [] })
})
afterEach(() => sts.stop())

function post(body: string, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return fetch(sts.url, { method: 'POST', body, headers, ...init })
}

describe('a fault', () => {
  let client: STSClient
  beforeEach(() => {
    client = new STSClient({
      region: 'us-east-1',
      endpoint: sts.url,
      maxAttempts: 1,
      credentials: { accessKeyId: 'ASIAUNKNOWNUNKNOWNUN', secretAccessKey: 'x', sessionToken: 'y' },
    })
  })
  afterEach(() => {
    client.destroy()
  })

  test('http: the SDK sees code, status and message', async () => {
    const message = `Rate <exceeded> & "more" 'so'`
    sts.fault({ kind: 'http', status: 400, code: 'Throttling', message })
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'Throttling',
      message,
      $metadata: { httpStatusCode: 400 },
    })
    expect(sts.calls.map((call) => call.outcome)).toEqual(['fault:http'])
  })

  test('ends when it is removed', async () => {
    sts.fault({ kind: 'http', status: 503, code: 'ServiceUnavailable', message: 'busy' })
    expect((await post(FORM)).status).toBe(503)
    sts.fault(undefined)
    expect((await post(FORM)).status).toBe(403)
  })
})

test('garbage is a page that is not XML of STS', async () => {
  sts.fault({ kind: 'garbage' })
  const response = await post(FORM)
  expect(response.status).toBe(200)
  expect(await response.text()).toMatch(/^<html>/)
})

test('truncated is the first half of the answer, and complete for HTTP', async () => {
  const whole = await (await post(FORM)).text()
  sts.fault({ kind: 'truncated' })
  const half = await (await post(FORM)).text()
  const upToId = (text: string): string => text.replace(/<RequestId>.*/, '')
  expect(half.length).toBe(Math.floor(whole.length / 2))
  expect(upToId(whole).startsWith(upToId(half))).toBe(true)
})

test('reset breaks the connection', async () => {
  sts.fault({ kind: 'reset' })
  await expect(post(FORM)).rejects.toThrow()
})

test('hang keeps the connection open and sends nothing', async () => {
  sts.fault({ kind: 'hang' })
  const abort = new AbortController()
  const answer = post(FORM, { signal: abort.signal })
  while (sts.calls.length === 0) await clock.settle()
  expect(await Promise.race([answer.then(() => 'answer'), clock.settle()])).toBeUndefined()
  abort.abort()
  await expect(answer).rejects.toThrow()
})

test('slow answers after the delay on the clock', async () => {
  sts.fault({ kind: 'slow', delayMs: 20_000 })
  const state = { answered: false }
  const answer = post(FORM).finally(() => {
    state.answered = true
  })
  while (clock.pending === 0) await clock.settle()
  await clock.advance(19_999)
  expect(state.answered).toBe(false)
  await clock.advance(1)
  expect((await answer).status).toBe(403)
})

test('stopped it refuses connections; started again it is on the same port', async () => {
  await sts.stop()
  await expect(post(FORM)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })
  await sts.start()
  expect((await post(FORM)).status).toBe(403)
})

test('the Date header is what the clock says', async () => {
  const { headers } = await post(FORM)
  expect(headers.get('date')).toBe('Sat, 02 Jan 2027 03:04:05 GMT')
})

test.each<[string, string, number, string]>([
  ['no action', 'Version=2011-06-15', 400, 'MissingAction'],
  ['an unknown action', 'Action=AssumeRoot&Version=2011-06-15', 400, 'InvalidAction'],
  ['a name of every object', 'Action=constructor&Version=2011-06-15', 400, 'InvalidAction'],
  ['an unknown version', 'Action=GetCallerIdentity&Version=1', 400, 'InvalidAction'],
  ['no signature', FORM, 403, 'MissingAuthenticationToken'],
  ['a body that is too large', 'a'.repeat(65_537), 413, 'RequestEntityTooLarge'],
  [
    'a parameter that it does not know',
    'Action=AssumeRoleWithWebIdentity&Version=2011-06-15&ProviderId=x',
    400,
    'ValidationError',
  ],
  ['no role', 'Action=AssumeRoleWithWebIdentity&Version=2011-06-15', 400, 'ValidationError'],
])('%s is refused', async (_what, body, status, code) => {
  const response = await post(body)
  const id = '<RequestId>[0-9a-f-]{36}</RequestId>'
  expect(response.status).toBe(status)
  expect(await response.text()).toMatch(
    new RegExp(
      `^<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>[^<]+</Message></Error>${id}</ErrorResponse>$`,
    ),
  )
  expect(sts.calls.at(-1)?.outcome).toBe(code)
})
