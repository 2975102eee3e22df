import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { policyArns } from '../contract/session-policy.ts'
import {
  claimsOf,
  POD,
  podInfo,
  PODS_FOLDER,
  publishRequest,
  TOKENS_KEY,
  tokensText,
  unsignedToken,
  VOLUME_INFO,
} from '../test/fakes/driver-samples.ts'
import { thrownBy } from '../test/fakes/exchanger-samples.ts'
import { uidOf } from '../test/fakes/issuer.ts'
import type { NodePublishRequest } from './csi/methods.ts'
import { DriverError } from './errors.ts'
import { checkPublishRequest, checkUnpublishRequest } from './publish-request.ts'

const TOKEN = unsignedToken(claimsOf(POD))
const TOKENS = tokensText({ 'sts.amazonaws.com': TOKEN })
const TARGET = publishRequest().targetPath

const inSecrets = (text: string): Partial<NodePublishRequest> => ({
  secrets: new Map([[TOKENS_KEY, text]]),
})
const context = (...entries: [string, string][]): Partial<NodePublishRequest> => ({
  volumeContext: new Map([...podInfo(POD), ...entries]),
})
const without = (name: string): Partial<NodePublishRequest> => ({
  volumeContext: new Map(podInfo(POD).filter(([key]) => key !== VOLUME_INFO + name)),
})
const codeFor = async (changes: Partial<NodePublishRequest>): Promise<unknown> => {
  const error = await thrownBy(() => checkPublishRequest(publishRequest(changes), PODS_FOLDER))
  if (!(error instanceof DriverError)) throw error
  expect(error.message).not.toContain(TOKEN.slice(0, 40))
  return error.code
}

test('a request of today’s kubelet gives pod, target, tokens and attributes', () => {
  expect(checkPublishRequest(publishRequest(inSecrets(TOKENS)), PODS_FOLDER)).toEqual({
    pod: POD,
    target: { podUid: POD.uid, volume: 'nocreds' },
    tokens: new Map([
      [
        'sts.amazonaws.com',
        {
          jwt: TOKEN,
          expiresAtMs: Date.UTC(2026, 0, 1, 1),
          serviceAccountUid: uidOf('serviceaccount', 'team-a/app'),
        },
      ],
    ]),
    attributes: { 'role-arn': 'arn:aws:iam::111122223333:role/app' },
  })
})

test('an older kubelet has its token in volume_context, which is no attribute', () => {
  const request = publishRequest({ secrets: new Map(), ...context([TOKENS_KEY, TOKENS]) })
  const { tokens, attributes } = checkPublishRequest(request, PODS_FOLDER)
  expect([...tokens.keys()]).toEqual(['sts.amazonaws.com'])
  expect(attributes).toEqual({})
})

test('the longest value that an annotation may have is no longer than an attribute may be', () => {
  const arn = (digit: number): string =>
    `arn:aws-us-gov:iam::111122223333:policy/${String(digit).repeat(600)}`
  const arns = Array.from({ length: 10 }, (_, digit) => arn(digit)).join(' ')
  expect(policyArns.parse(arns)).toHaveLength(10)
  const request = publishRequest(context(['session-policy-arns', arns]))
  const { attributes } = checkPublishRequest(request, PODS_FOLDER)
  expect(attributes['session-policy-arns']).toBe(arns)
})

test('what later kubelets add under their own prefix is no attribute', () => {
  const request = publishRequest(context([`${VOLUME_INFO}pod.shoe-size`, '44']))
  expect(checkPublishRequest(request, PODS_FOLDER).attributes).toEqual({})
})

describe('ERR_REQUEST', () => {
  test.each<[string, Partial<NodePublishRequest>]>([
    ['a volume that can be written', { readonly: false }],
    ['a PersistentVolume', context([`${VOLUME_INFO}ephemeral`, 'false'])],
    ['no pod information', { volumeContext: new Map() }],
    ['no uid', without('pod.uid')],
    ['no ServiceAccount', without('serviceAccount.name')],
    ['a uid that leads elsewhere', context([`${VOLUME_INFO}pod.uid`, '../x'])],
    ['a name in several lines', context([`${VOLUME_INFO}pod.name`, 'app-1\n'])],
    ['no token', { secrets: new Map() }],
    ['tokens in both places', { ...inSecrets(TOKENS), ...context([TOKENS_KEY, TOKENS]) }],
    ['an empty one in the other place', { ...inSecrets(TOKENS), ...context([TOKENS_KEY, '']) }],
    ['another secret', { secrets: new Map([...publishRequest().secrets, ['password', 'x']]) }],
    ['tokens that are not JSON', inSecrets('{')],
    ['no audience', inSecrets('{}')],
    ['a list', inSecrets(`["${TOKEN}"]`)],
    ['a token for the apiserver', inSecrets(tokensText({ '': TOKEN }))],
    ['a token that is not a JWT', inSecrets(tokensText({ a: 'a.b' }))],
    ['a token without an end', inSecrets(JSON.stringify({ a: { token: TOKEN } }))],
    ['a date that does not exist', inSecrets(TOKENS.replace('01-01T', '19-41T'))],
    [
      'too many audiences',
      inSecrets(
        tokensText(Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`a${n}`, TOKEN]))),
      ),
    ],
    ['tokens that are too large', inSecrets(' '.repeat(200_000) + TOKENS)],
    [
      'too many attributes',
      context(...Array.from({ length: 33 }, (_, n): [string, string] => [`a${n}`, ''])),
    ],
    ['an attribute that is too long', context(['role-arn', 'x'.repeat(6657)])],
    ['an attribute with an odd name', context(['__proto__', 'x'])],
    ['the target of another pod', { targetPath: TARGET.replace(POD.uid, 'b'.repeat(36)) }],
  ])('%s', async (_what, changes) => {
    expect(await codeFor(changes)).toBe('ERR_REQUEST')
  })

  test.each(
    [
      ['', '/', `${TARGET}/`, `${TARGET}/..`, `/x${TARGET}`, TARGET.slice(1)],
      [TARGET.replace('kubernetes.io~csi', 'kubernetes.io~empty-dir')],
      [TARGET.replace('/nocreds/', '/../'), TARGET.replace('/nocreds/', '/a/b/')],
      [TARGET.replace('/nocreds/', '//'), TARGET.replace('nocreds/mount', 'nocreds')],
      [`${TARGET}\n`, `${TARGET}\0`, TARGET.replace('/volumes', '/./volumes')],
    ].flat(),
  )('target_path %j', async (targetPath) => {
    expect(await codeFor({ targetPath })).toBe('ERR_REQUEST')
    const unpublish = { volumeId: '', targetPath }
    expect(await thrownBy(() => checkUnpublishRequest(unpublish, PODS_FOLDER))).toMatchObject({
      code: 'ERR_REQUEST',
    })
  })
})

test('an unpublish gives its target', () => {
  const request = { volumeId: '', targetPath: TARGET }
  expect(checkUnpublishRequest(request, PODS_FOLDER)).toEqual({
    podUid: POD.uid,
    volume: 'nocreds',
  })
})

describe('ERR_TOKEN_POD', () => {
  test.each([
    ['namespace', claimsOf({ ...POD, namespace: 'team-b' })],
    ['pod.name', claimsOf({ ...POD, name: 'app-2' })],
    ['pod.uid', claimsOf({ ...POD, uid: 'b'.repeat(36) })],
    ['serviceaccount.name', claimsOf({ ...POD, serviceAccount: 'admin' })],
    ['serviceaccount.uid', claimsOf(POD, '')],
    ['serviceaccount.uid with more than a uid', claimsOf(POD, `${POD.uid}"`)],
    ['no claims of Kubernetes', {}],
    ['no pod', { 'kubernetes.io': { namespace: POD.namespace } }],
    ['no object', 'text'],
    ['nothing', null],
  ])('a token of another pod: %s', async (_what, claims) => {
    const both = tokensText({ own: TOKEN, foreign: unsignedToken(claims) })
    expect(await codeFor(inSecrets(both))).toBe('ERR_TOKEN_POD')
  })
})

describe('hostile requests', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.constantFrom('', '..', '/', TARGET, TOKEN, TOKENS, 'true', POD.uid, '\ud800', '__proto__'),
    fc.json({ maxDepth: 4 }),
  )
  const key = fc.oneof(text, fc.constantFrom(TOKENS_KEY, ...podInfo(POD).map(([name]) => name)))
  const map = fc.array(fc.tuple(key, text), { maxLength: 6 })
  const changes = fc.record(
    {
      targetPath: fc.oneof(
        text,
        text.map((part) => TARGET.replace('nocreds', part)),
      ),
      readonly: fc.boolean(),
      secrets: map.map((entries) => new Map(entries)),
      volumeContext: map.map((entries) => new Map([...podInfo(POD), ...entries])),
    },
    { requiredKeys: [] },
  )
  const tokens = fc
    .dictionary(
      fc.constantFrom('a', '__proto__', ''),
      fc.oneof(
        fc.jsonValue(),
        fc.record({
          token: fc.oneof(
            text,
            fc.jsonValue().map((claims) => unsignedToken({ 'kubernetes.io': claims })),
          ),
          expirationTimestamp: fc.oneof(fc.constant('2026-01-01T01:00:00Z'), text),
        }),
      ),
    )
    .map((value) => ({ secrets: new Map([[TOKENS_KEY, JSON.stringify(value)]]) }))

  test('give a request of this pod, or a DriverError', () => {
    fc.assert(
      fc.property(fc.oneof(changes, tokens), (change) => {
        try {
          const { pod, target } = checkPublishRequest(publishRequest(change), PODS_FOLDER)
          expect(target.podUid).toBe(pod.uid)
          expect(`${PODS_FOLDER}/${pod.uid}`).toMatch(/^\/var\/lib\/kubelet\/pods\/[\w-]+$/)
        } catch (error) {
          if (!(error instanceof DriverError)) throw error
        }
      }),
      { numRuns: 5000 },
    )
  })
})
