/** Test double: an OIDC issuer as a Kubernetes cluster is one. Never shipped. */
import { createHash, randomUUID } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose'
import type { Clock } from '../../shared/base/clock.ts'
import { recordSecret } from '../leak-check.ts'
import { closeAtOnce, listenOnLoopback } from './loopback-server.ts'
import { throwawayCertificate } from './throwaway-certificate.ts'

/** What a kubelet asks the apiserver for on behalf of a pod. */
export interface TokenRequest {
  readonly namespace: string
  readonly serviceAccount: string
  /** Name of the pod that the token is bound to. */
  readonly pod: string
  readonly audience: string
  readonly expiresInSeconds: number
  /** Claims that replace the regular ones; undefined takes one out. For tokens that are to be refused. */
  readonly overrides?: Readonly<Record<string, unknown>>
}

export interface Issuer {
  /** The `iss` of its tokens, `https://127.0.0.1:PORT`. */
  readonly url: string
  /** The CA of its serving certificate, in PEM. */
  readonly caPem: string
  mintToken(request: TokenRequest): Promise<string>
  /** Signs with a new key from now on; the old ones stay published, as the apiserver keeps them. */
  rotateKey(): Promise<void>
  /** Deletes the ServiceAccount and makes it again: tokens have another uid of it from now on. */
  recreateServiceAccount(namespace: string, name: string): void
  close(): Promise<void>
}

interface SigningKey {
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK & { readonly kid: string }
}

const ALGORITHM = 'RS256'

/** Documents of the apiserver. Source: Kubernetes, "Service account issuer discovery". */
const PATHS = {
  discovery: '/.well-known/openid-configuration',
  keys: '/openid/v1/jwks',
} as const

/** Starts an issuer with a fresh key on 127.0.0.1; the time in its tokens is the clock's. */
export async function startIssuer({ clock }: { readonly clock: Clock }): Promise<Issuer> {
  const keys = [await signingKey()]
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  const issuer = { url: '' }
  const recreated = new Map<string, number>()
  const serviceAccountUid = (name: string): string =>
    uidOf('serviceaccount', `${name}${'+'.repeat(recreated.get(name) ?? 0)}`)
  const server: Server = createServer(
    { cert: certPem, key: keyPem },
    documents(issuer, () => keys.map((key) => key.publicJwk)),
  )
  issuer.url = `https://127.0.0.1:${await listenOnLoopback(server, 0)}`
  return {
    url: issuer.url,
    caPem,
    async mintToken(request) {
      const key = keys.at(-1)
      if (key === undefined) throw new Error('an issuer has at least one key')
      const uid = serviceAccountUid(`${request.namespace}/${request.serviceAccount}`)
      const regular = podClaims(issuer.url, request, { nowMs: clock.now(), uid })
      const claims = { ...regular, ...request.overrides }
      const jwt = await new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid: key.publicJwk.kid })
        .sign(key.privateKey)
      recordSecret(jwt)
      return jwt
    },
    async rotateKey() {
      keys.push(await signingKey())
    },
    recreateServiceAccount(namespace, name) {
      const key = `${namespace}/${name}`
      recreated.set(key, (recreated.get(key) ?? 0) + 1)
    },
    close: () => closeAtOnce(server),
  }
}

/** The key's id is the SHA-256 of its public part, as the apiserver computes it. */
async function signingKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
  const spkiBase64 = (await exportSPKI(publicKey)).replace(/-----[A-Z ]+-----|\s/g, '')
  const kid = createHash('sha256').update(Buffer.from(spkiBase64, 'base64')).digest('base64url')
  const jwk = await exportJWK(publicKey)
  return { privateKey, publicJwk: { ...jwk, use: 'sig', kid, alg: ALGORITHM } }
}

/**
 * The claims of a token that is bound to a pod.
 * Source: Kubernetes, "Managing Service Accounts", "Schema for service account private claims".
 */
function podClaims(
  issuer: string,
  request: TokenRequest,
  { nowMs, uid }: { readonly nowMs: number; readonly uid: string },
): JWTPayload {
  const { namespace, serviceAccount, pod, audience, expiresInSeconds } = request
  const now = Math.floor(nowMs / 1000)
  return {
    aud: [audience],
    exp: now + expiresInSeconds,
    iat: now,
    iss: issuer,
    jti: randomUUID(),
    'kubernetes.io': {
      namespace,
      node: { name: 'testbed-node', uid: uidOf('node', 'testbed-node') },
      pod: { name: pod, uid: uidOf('pod', `${namespace}/${pod}`) },
      serviceaccount: { name: serviceAccount, uid },
    },
    nbf: now,
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
  }
}

/** The same object has the same UID in each token, as in a cluster. A pod's name is `namespace/pod`. */
export function uidOf(kind: string, name: string): string {
  const hex = createHash('sha256').update(`${kind}/${name}`).digest('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
}

function documents(
  issuer: { readonly url: string },
  publicKeys: () => readonly JWK[],
): RequestListener {
  return (request, response) => {
    if (request.method === 'GET' && request.url === PATHS.discovery) {
      answer(response, 'application/json', {
        issuer: issuer.url,
        jwks_uri: issuer.url + PATHS.keys,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [ALGORITHM],
      })
    } else if (request.method === 'GET' && request.url === PATHS.keys) {
      answer(response, 'application/jwk-set+json', { keys: publicKeys() })
    } else {
      response.writeHead(404).end()
    }
  }
}

function answer(response: ServerResponse, type: string, document: unknown): void {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'public, max-age=3600' })
  response.end(JSON.stringify(document))
}
