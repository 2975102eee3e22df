import { X509Certificate } from 'node:crypto'
import { get } from 'node:https'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose'
import { startIssuer, type Issuer } from './issuer.ts'
import { throwawayCertificate } from './throwaway-certificate.ts'
import { VirtualClock } from './virtual-clock.ts'

const NOW_SECONDS = 1_800_000_000
const REQUEST = {
  namespace: 'team-a',
  serviceAccount: 'app',
  pod: 'app-1',
  audience: 'sts.amazonaws.com',
  expiresInSeconds: 600,
}

const clock = new VirtualClock(NOW_SECONDS * 1000)
let issuer: Issuer

beforeAll(async () => {
  issuer = await startIssuer({ clock })
})
afterAll(() => issuer.close())

interface Fetched {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly text: string
}

/** Trusts `ca` only; without it, what the machine trusts. */
function fetchFrom(path: string, ca?: string): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const request = get(issuer.url + path, { agent: false, ...(ca && { ca }) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode, type: response.headers['content-type'], text })
      })
    })
    request.on('error', reject)
  })
}

async function publishedKeys(): Promise<JSONWebKeySet> {
  return JSON.parse((await fetchFrom('/openid/v1/jwks', issuer.caPem)).text) as JSONWebKeySet
}

test('the discovery document is the one of an apiserver', async () => {
  const fetched = await fetchFrom('/.well-known/openid-configuration', issuer.caPem)
  expect(fetched).toMatchObject({ status: 200, type: 'application/json' })
  expect(JSON.parse(fetched.text)).toEqual({
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  })
})

test('the keys are public ones only', async () => {
  const { keys } = await publishedKeys()
  expect(keys).toHaveLength(1)
  expect(Object.keys(keys[0]!).toSorted()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
})

test('serves nothing else, and only to clients that trust its CA', async () => {
  expect(await fetchFrom('/api', issuer.caPem)).toMatchObject({ status: 404 })
  await expect(fetchFrom('/openid/v1/jwks')).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  })
})

test('a token has the claims of a projected token', async () => {
  const { payload } = await jwtVerify(
    await issuer.mintToken(REQUEST),
    createLocalJWKSet(await publishedKeys()),
    { currentDate: new Date(clock.now()) },
  )
  const uid = expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(payload).toEqual({
    aud: ['sts.amazonaws.com'],
    exp: NOW_SECONDS + 600,
    iat: NOW_SECONDS,
    iss: issuer.url,
    jti: uid,
    'kubernetes.io': {
      namespace: 'team-a',
      node: { name: expect.any(String), uid },
      pod: { name: 'app-1', uid },
      serviceaccount: { name: 'app', uid },
    },
    nbf: NOW_SECONDS,
    sub: 'system:serviceaccount:team-a:app',
  })
})

test('overrides replace and remove claims', async () => {
  const token = await issuer.mintToken({ ...REQUEST, overrides: { sub: 'other', exp: undefined } })
  const { payload } = await jwtVerify(token, createLocalJWKSet(await publishedKeys()), {
    currentDate: new Date(clock.now()),
  })
  expect(payload).toMatchObject({ sub: 'other', iss: issuer.url })
  expect(payload.exp).toBeUndefined()
})

test('after a rotation a new key signs and the old one stays published', async () => {
  const before = decodeProtectedHeader(await issuer.mintToken(REQUEST)).kid
  await issuer.rotateKey()
  const after = decodeProtectedHeader(await issuer.mintToken(REQUEST)).kid
  expect(after).not.toBe(before)
  expect((await publishedKeys()).keys.map((key) => key.kid)).toEqual([before, after])
})

test('a throwaway certificate has the requested names and its own CA', async () => {
  const { caPem, certPem } = await throwawayCertificate(['127.0.0.1', 'webhook.example.com'])
  const [ca, serving] = [new X509Certificate(caPem), new X509Certificate(certPem)]
  expect([ca.ca, serving.ca]).toEqual([true, false])
  expect(serving.verify(ca.publicKey)).toBe(true)
  expect(serving.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(serving.checkHost('webhook.example.com')).toBe('webhook.example.com')
  expect(serving.checkHost('other.example.com')).toBeUndefined()
})
