/** Test double: what a kubelet sends to a CSI driver for one pod. Never shipped. */
import type { NodePublishRequest } from '../../driver/csi/methods.ts'
import type { Pod } from '../../driver/pod-tokens.ts'
import { jsonObject } from '../../shared/base/json.ts'
import { recordSecret } from '../leak-check.ts'
import { uidOf } from './issuer.ts'

export const PODS_FOLDER = '/var/lib/kubelet/pods'

export const POD: Pod = {
  uid: uidOf('pod', 'team-a/app-1'),
  name: 'app-1',
  namespace: 'team-a',
  serviceAccount: 'app',
}

export const VOLUME_INFO = 'csi.storage.k8s.io/'
export const TOKENS_KEY = `${VOLUME_INFO}serviceAccount.tokens`

/** A token with these claims, which nobody signed. */
export function unsignedToken(claims: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const jwt = `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`
  recordSecret(jwt)
  return jwt
}

/** The claims that bind a token to a pod. Source: as in issuer.ts. */
export function claimsOf(
  { uid, name, namespace, serviceAccount }: Pod,
  serviceAccountUid = uidOf('serviceaccount', `${namespace}/${serviceAccount}`),
): Readonly<Record<string, unknown>> {
  const serviceaccount = { name: serviceAccount, uid: serviceAccountUid }
  return { 'kubernetes.io': { namespace, pod: { name, uid }, serviceaccount } }
}

/** As the kubelet writes them: `{audience: {token, expirationTimestamp}}`. */
export function tokensText(tokens: Readonly<Record<string, string>>): string {
  return JSON.stringify(
    Object.fromEntries(
      Object.entries(tokens).map(([audience, token]) => [
        audience,
        { token, expirationTimestamp: expirationOf(token) },
      ]),
    ),
  )
}

/** A token without `exp`, which nobody signed, has a fixed one. */
function expirationOf(jwt: string): string {
  const claims = jsonObject(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
  const exp = claims?.['exp']
  if (typeof exp !== 'number') return '2026-01-01T01:00:00Z'
  return `${new Date(exp * 1000).toISOString().slice(0, 19)}Z`
}

export function podInfo(pod: Pod): [name: string, value: string][] {
  return [
    [`${VOLUME_INFO}pod.uid`, pod.uid],
    [`${VOLUME_INFO}pod.name`, pod.name],
    [`${VOLUME_INFO}pod.namespace`, pod.namespace],
    [`${VOLUME_INFO}serviceAccount.name`, pod.serviceAccount],
    [`${VOLUME_INFO}ephemeral`, 'true'],
  ]
}

/** What a kubelet sends since 1.35, with the token in `secrets`. */
export function publishRequest(changes: Partial<NodePublishRequest> = {}): NodePublishRequest {
  const tokens = tokensText({ 'sts.amazonaws.com': unsignedToken(claimsOf(POD)) })
  return {
    volumeId: `csi-${'0'.repeat(64)}`,
    targetPath: `${PODS_FOLDER}/${POD.uid}/volumes/kubernetes.io~csi/nocreds/mount`,
    readonly: true,
    secrets: new Map([[TOKENS_KEY, tokens]]),
    volumeContext: new Map([...podInfo(POD), ['role-arn', 'arn:aws:iam::111122223333:role/app']]),
    ...changes,
  }
}
