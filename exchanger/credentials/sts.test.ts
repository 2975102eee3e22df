import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { listen } from '../../shared/base/server.ts'
import { CONFIG, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { faultOf } from './faults.ts'
import { webIdentityStep } from './steps/web-identity.ts'
import { sendToSts, type StsResponse } from './sts.ts'

const GRANTED = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>KEY-1</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
    <SessionToken>session</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`

let server: Server
let requests: { request: IncomingMessage; form: URLSearchParams }[]
let answer: (response: ServerResponse) => void
let config: typeof CONFIG

const STEP = webIdentityStep(CONFIG)
const CLAIMS = {
  issuer: 'https://oidc.example.com',
  subject: 'system:serviceaccount:team-a:app',
  audiences: ['sts.amazonaws.com'],
  issuedAtMs: undefined,
  expiresAtMs: undefined,
}

/** The first request of an exchange. */
function assumeRole(asked: CredentialsConfig, jwt: string): Promise<StsResponse> {
  const input = { token: { jwt, claims: CLAIMS }, previous: undefined }
  return sendToSts(asked, webIdentityStep(asked).request(input), undefined)
}

beforeEach(async () => {
  requests = []
  answer = (response) => response.end(GRANTED)
  server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      requests.push({ request, form: new URLSearchParams(body) })
      answer(response)
    })
  })
  config = { ...CONFIG, stsEndpoint: `http://127.0.0.1:${await listen(server, 0, '127.0.0.1')}` }
})
afterEach(async () => {
  jest.useRealTimers()
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
})

describe('AssumeRoleWithWebIdentity', () => {
  test('gets one request, unsigned, with the token only in the body', async () => {
    await assumeRole({ ...config, sessionName: '{namespace}-{pod}' }, 'the-token')
    expect(requests).toHaveLength(1)
    const { request, form } = requests[0]!
    expect(Object.fromEntries(form)).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: 'arn:aws:iam::111122223333:role/app',
      RoleSessionName: 'team-a-app-1',
      WebIdentityToken: 'the-token',
      DurationSeconds: '3600',
    })
    expect(request.headers.authorization).toBeUndefined()
    expect(JSON.stringify([request.url, request.headers])).not.toContain('the-token')
  })

  test('returns the credentials, and the time of STS', async () => {
    answer = (response) =>
      response.writeHead(200, { date: 'Thu, 01 Jan 2026 00:00:00 GMT' }).end(GRANTED)
    const { output, stsNowMs } = await assumeRole(config, 'the-token')
    expect(output.Credentials).toEqual({
      AccessKeyId: 'KEY-1',
      SecretAccessKey: 'secret',
      SessionToken: 'session',
      Expiration: new Date('2026-01-01T01:00:00Z'),
    })
    expect(stsNowMs).toBe(Date.UTC(2026, 0, 1))
  })

  test.each([
    ['no Date', undefined],
    ['nonsense as Date', 'yesterday'],
  ])('%s: not a time of STS', async (_what, date) => {
    answer = (response) => {
      response.sendDate = false
      if (date !== undefined) response.setHeader('date', date)
      response.end(GRANTED)
    }
    expect((await assumeRole(config, 'the-token')).stsNowMs).toBeUndefined()
  })
})

describe('is transient, and requested once', () => {
  test('no answer in 10 s', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] })
    answer = () => undefined
    const thrown = thrownBy(() => assumeRole(config, 'the-token'))
    while (requests.length === 0) await new Promise(setImmediate)
    for (let second = 0; second < 11; second += 1) await jest.advanceTimersByTimeAsync(1000)
    expect(faultOf(await thrown, STEP, [])).toMatchObject({
      code: 'ETIMEDOUT',
      failureClass: 'transient',
    })
    expect(requests).toHaveLength(1)
  })

  test.each<[string, number, string, string]>([
    ['a page of a proxy', 403, '<html><body>Blocked</body></html>', 'MalformedResponse'],
    ['a page of a gateway', 502, 'Bad Gateway', 'MalformedResponse'],
    ['half an answer', 200, GRANTED.slice(0, -200), 'MalformedResponse'],
    ['half an error', 403, '<ErrorResponse><Error><Code>Acc', 'MalformedResponse'],
    ['an answer of another kind', 200, '{"ok":true}', 'MalformedResponse'],
  ])('%s', async (_what, status, text, code) => {
    answer = (response) => response.writeHead(status, { 'content-type': 'text/xml' }).end(text)
    const fault = faultOf(await thrownBy(() => assumeRole(config, 'the-token')), STEP, [])
    expect(fault).toMatchObject({ code, failureClass: 'transient' })
    expect(fault.text).not.toContain('secret')
    expect(requests).toHaveLength(1)
  })
})
