import { AUTHORITY, AUTHORITY_VOLUME } from '../../contract/certificates.ts'
import { fieldsOf, jsonObject } from '../../shared/base/json.ts'
import { Refusal, type Reason } from '../refusal.ts'

/** A workload: a pod, and the ServiceAccount that it runs as. */
export interface Identity {
  readonly namespace: string
  readonly serviceAccount: string
  readonly podName: string
  readonly podUid: string
  /** The node that sent the request for the pod; undefined if the pod sent it. */
  readonly nodeName?: string
}

/** Source: Kubernetes, "Authenticating", ServiceAccount tokens. */
const USERNAME = /^system:serviceaccount:([a-z0-9.-]{1,253}):([a-z0-9.-]{1,253})$/
const EXTRA = {
  podName: 'authentication.kubernetes.io/pod-name',
  podUid: 'authentication.kubernetes.io/pod-uid',
} as const

function invalid(why: string): Refusal {
  return new Refusal('token-invalid', `the token is not accepted: ${why}`)
}

/** The lifetime that kubelets request, and a minute for an apiserver that rounds. */
const MAX_TOKEN_SECONDS = AUTHORITY_VOLUME.tokenExpirationSeconds + 60

/**
 * The workload that the apiserver identified by its token.
 *
 * @param status of the TokenReview
 * @param token that was reviewed; its claims are read only if the apiserver accepted it
 * @throws Refusal
 */
export function identityFrom(status: unknown, token: string): Identity {
  const { authenticated, audiences, user } = fieldsOf(status)
  if (authenticated !== true)
    throw invalid('it has expired, is of another cluster or audience, or is not a token')
  if (!Array.isArray(audiences) || !audiences.includes(AUTHORITY.audience)) {
    throw invalid(`its audience is not ${AUTHORITY.audience}`)
  }
  requireShortLived(token)
  return identityOf(user)
}

/**
 * Kubelets request tokens for an hour. A longer one was created by another client, which could keep it for years: it
 * is valid until its pod is deleted, and a pod that was never scheduled may never be deleted.
 */
function requireShortLived(token: string): void {
  const [, claims = ''] = token.split('.')
  const fields = jsonObject(Buffer.from(claims, 'base64url').toString('utf8')) ?? {}
  const { iat, exp } = fields
  if (!isFinite(iat) || !isFinite(exp)) {
    throw invalid('its claims iat and exp cannot be read')
  }
  const seconds = exp - iat
  if (seconds <= MAX_TOKEN_SECONDS) return
  throw new Refusal(
    'token-lifetime-too-long',
    `the token is not accepted: its lifetime is ${seconds} s; allowed: at most ${MAX_TOKEN_SECONDS} s, which kubelets request`,
  )
}

function isFinite(value: unknown): value is number {
  return Number.isFinite(value)
}

function identityOf(user: unknown): Identity {
  const { username, extra } = fieldsOf(user)
  const [, namespace, serviceAccount] =
    USERNAME.exec(typeof username === 'string' ? username : '') ?? []
  if (namespace === undefined || serviceAccount === undefined) {
    throw invalid('it does not belong to a ServiceAccount')
  }
  const boundTo = fieldsOf(extra)
  const podName = only(boundTo[EXTRA.podName])
  const podUid = only(boundTo[EXTRA.podUid])
  if (podName === undefined || podUid === undefined) throw invalid('it is not bound to a pod')
  return { namespace, serviceAccount, podName, podUid }
}

function only(value: unknown): string | undefined {
  const [first, ...others] = Array.isArray(value) ? (value as unknown[]) : []
  return typeof first === 'string' && first !== '' && others.length === 0 ? first : undefined
}

interface SeenPod {
  readonly metadata?: { readonly uid?: unknown; readonly deletionTimestamp?: unknown }
  readonly spec?: { readonly serviceAccountName?: unknown; readonly nodeName?: unknown }
  readonly status?: { readonly phase?: unknown }
}

/** Requires that the pod runs, or is about to, on the node that the request names. @throws Refusal */
export function requireRunning(identity: Identity, found: unknown): void {
  const pod = (found ?? {}) as SeenPod
  const refused = (code: Reason, why: string): Refusal =>
    new Refusal(code, `pod ${identity.namespace}/${identity.podName} ${why}`)
  const gone = whyGone(identity, pod)
  if (gone !== undefined) throw refused('pod-gone', gone)
  const { nodeName: requestedBy } = identity
  const nodeName = pod.spec?.nodeName ?? ''
  if (typeof nodeName !== 'string' || nodeName === '') {
    throw refused(
      'pod-not-scheduled',
      'is not scheduled to a node yet, so it cannot use a certificate',
    )
  }
  if (requestedBy !== undefined && requestedBy !== nodeName) {
    throw refused('node-mismatch', `is on node ${nodeName}, but the request names ${requestedBy}`)
  }
}

function whyGone(
  { podUid, serviceAccount }: Identity,
  { metadata, spec, status }: SeenPod,
): string | undefined {
  if (metadata === undefined) return 'does not exist'
  if (metadata.uid !== podUid) return 'is another pod of the same name'
  if (spec?.serviceAccountName !== serviceAccount) return 'runs as another ServiceAccount'
  if (metadata.deletionTimestamp !== undefined) return 'is being deleted'
  const hasFinished = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  return hasFinished ? 'has finished' : undefined
}
