import { fieldsOf, jsonObject } from '../shared/base/json.ts'
import type { NodePublishRequest } from './csi/methods.ts'
import { DriverError, shown } from './errors.ts'

/** Source: Kubernetes, "Object Names and IDs". UIDs of static pods have no dashes. */
export const UID = /^[a-zA-Z0-9-]{1,64}$/

/** A pod as the kubelet says that it is. */
export interface Pod {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
}

/** A ServiceAccount token that the kubelet had made for a pod. */
export interface PodToken {
  /** The secret itself. */
  readonly jwt: string
  /** Milliseconds since the epoch, as the apiserver said. */
  readonly expiresAtMs: number
  /** Of the ServiceAccount. One that was deleted and made again is another one, whatever its name. */
  readonly serviceAccountUid: string
}

/** A token before its claims are read. */
type UnreadToken = Omit<PodToken, 'serviceAccountUid'>

/** Where the kubelet puts tokens: in `secrets`, or, without serviceAccountTokenInSecrets, in `volume_context`. */
const KEY = 'csi.storage.k8s.io/serviceAccount.tokens'

const MAX_TEXT_LENGTH = 131_072
const MAX_AUDIENCES = 8
const MAX_TOKEN_LENGTH = 16_384
const MAX_AUDIENCE_LENGTH = 256
const JWT = /^[\w-]+\.([\w-]+)\.[\w-]+$/
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/

/**
 * The tokens of a request, by audience: at least one. They are in one place; a volume attribute of the
 * same name, which the author of the pod could add, is refused beside `secrets`.
 *
 * @throws DriverError ERR_REQUEST, which quotes no token and no secret
 */
export function tokensOf({
  secrets,
  volumeContext,
}: Pick<NodePublishRequest, 'secrets' | 'volumeContext'>): ReadonlyMap<string, UnreadToken> {
  // A secret of the pod's own choice is merged into these (nodePublishSecretRef).
  if ([...secrets.keys()].some((name) => name !== KEY)) {
    throw refused('secrets has more than the tokens; nodePublishSecretRef is not allowed')
  }
  const [inSecrets, inContext] = [secrets.get(KEY), volumeContext.get(KEY)]
  if (inSecrets !== undefined && inContext !== undefined) {
    throw refused(
      'tokens are both in secrets and in volume_context; one of them is not the kubelet’s',
    )
  }
  const text = inSecrets ?? inContext
  if (text === undefined) {
    const hint = 'the CSIDriver must have tokenRequests'
    throw new DriverError('ERR_REQUEST', 'the kubelet sent no token', { hint })
  }
  return parseTokens(text)
}

/** Source: Kubernetes, CSIDriver, "tokenRequests". */
function parseTokens(text: string): ReadonlyMap<string, UnreadToken> {
  if (text.length > MAX_TEXT_LENGTH) throw refused(`${KEY} is too large`)
  const entries = Object.entries(jsonObject(text) ?? {})
  if (entries.length === 0 || entries.length > MAX_AUDIENCES) {
    throw refused(`${KEY} is not a JSON object of 1 to ${MAX_AUDIENCES} tokens by audience`)
  }
  return new Map(entries.map(([audience, value]) => [audience, parseToken(audience, value)]))
}

function parseToken(audience: string, value: unknown): UnreadToken {
  if (audience === '' || audience.length > MAX_AUDIENCE_LENGTH) {
    throw refused(`${KEY} has a token for the audience ${shown(audience)}`)
  }
  const { token, expirationTimestamp } = fieldsOf(value)
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH || !JWT.test(token)) {
    throw refused(`the token for ${shown(audience)} is not a JWT`)
  }
  if (typeof expirationTimestamp !== 'string' || !TIMESTAMP.test(expirationTimestamp)) {
    throw refused(`the token for ${shown(audience)} has no expirationTimestamp`)
  }
  const expiresAtMs = Date.parse(expirationTimestamp)
  if (Number.isNaN(expiresAtMs)) {
    throw refused(`the token for ${shown(audience)} has no expirationTimestamp`)
  }
  return { jwt: token, expiresAtMs }
}

/**
 * Holds what each token says against what the kubelet says. The signature is not verified: STS is the
 * relying party. This keeps a token of another pod, put into volume attributes by hand, from being used.
 *
 * @returns the same tokens, with the ServiceAccount's uid, which the kubelet does not say
 * @throws DriverError ERR_TOKEN_POD
 */
export function boundTokens(
  tokens: ReadonlyMap<string, UnreadToken>,
  pod: Pod,
): ReadonlyMap<string, PodToken> {
  return new Map(
    [...tokens].map(([audience, token]) => [audience, boundToken(audience, token, pod)]),
  )
}

function boundToken(audience: string, token: UnreadToken, pod: Pod): PodToken {
  const claims = fieldsOf(claimsOf(token.jwt)['kubernetes.io'])
  const [boundTo, serviceAccount] = [fieldsOf(claims['pod']), fieldsOf(claims['serviceaccount'])]
  const pairs = [
    ['namespace', claims['namespace'], pod.namespace],
    ['pod.name', boundTo['name'], pod.name],
    ['pod.uid', boundTo['uid'], pod.uid],
    ['serviceaccount.name', serviceAccount['name'], pod.serviceAccount],
  ] as const
  for (const [name, said, expected] of pairs) {
    if (said !== expected) throw notOfPod(audience, `${name} is not ${expected}`)
  }
  const serviceAccountUid = serviceAccount['uid']
  if (typeof serviceAccountUid !== 'string' || !UID.test(serviceAccountUid)) {
    throw notOfPod(audience, 'serviceaccount.uid is no uid')
  }
  return { ...token, serviceAccountUid }
}

function notOfPod(audience: string, why: string): DriverError {
  const text = `the token for ${shown(audience)} is not of this pod: its claim ${why}`
  return new DriverError('ERR_TOKEN_POD', text)
}

function claimsOf(jwt: string): Readonly<Record<string, unknown>> {
  const [, payload = ''] = JWT.exec(jwt) ?? []
  return fieldsOf(jsonObject(Buffer.from(payload, 'base64url').toString('utf8')))
}

function refused(why: string): DriverError {
  return new DriverError('ERR_REQUEST', why)
}
