/** Test double: what a kubelet sends to a CSI driver for one pod. Never shipped. */
import type { NodePublishRequest } from '../../driver/csi/methods.ts'
import type { Pod } from '../../driver/pod-tokens.ts'
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
export function claimsOf(pod: Pod): Readonly<Record<string, unknown>> {
  const { uid, name, namespace, serviceAccount } = pod
  const bound = { namespace, pod: { name, uid }, serviceaccount: { name: serviceAccount } }
  return { 'kubernetes.io': bound }
}

/** As the kubelet writes them: `{audience: {token, expirationTimestamp}}`. */
export function tokensText(tokens: Readonly<Record<string, string>>): string {
  const expirationTimestamp = '2026-01-01T01:00:00Z'
  return JSON.stringify(
    Object.fromEntries(
      Object.entries(tokens).map(([audience, token]) => [audience, { token, expirationTimestamp }]),
    ),
  )
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
