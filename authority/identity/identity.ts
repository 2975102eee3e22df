import { AUTHORITY } from '../../contract/certificates.ts'
import { Refusal } from '../refusal.ts'

/** A workload: a pod, and the ServiceAccount that it runs as. */
export interface Identity {
  readonly namespace: string
  readonly serviceAccount: string
  readonly podName: string
  readonly podUid: string
}

interface TokenReviewStatus {
  readonly authenticated?: unknown
  readonly audiences?: unknown
  readonly user?: {
    readonly username?: unknown
    readonly extra?: Readonly<Record<string, unknown>>
  }
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

/** Who the apiserver says the token's bearer is. @throws Refusal */
export function identityFrom(status: unknown): Identity {
  const { authenticated, audiences, user } = (status ?? {}) as TokenReviewStatus
  if (authenticated !== true)
    throw invalid('it is expired, of another cluster or audience, or no token')
  if (!Array.isArray(audiences) || !audiences.includes(AUTHORITY.audience)) {
    throw invalid(`its audience is not ${AUTHORITY.audience}`)
  }
  return identityOf(user ?? {})
}

function identityOf({ username, extra = {} }: NonNullable<TokenReviewStatus['user']>): Identity {
  const [, namespace, serviceAccount] =
    USERNAME.exec(typeof username === 'string' ? username : '') ?? []
  if (namespace === undefined || serviceAccount === undefined) {
    throw invalid('it is not of a ServiceAccount')
  }
  const podName = only(extra[EXTRA.podName])
  const podUid = only(extra[EXTRA.podUid])
  if (podName === undefined || podUid === undefined) throw invalid('it is not bound to a pod')
  return { namespace, serviceAccount, podName, podUid }
}

function only(value: unknown): string | undefined {
  const [first, ...others] = Array.isArray(value) ? (value as unknown[]) : []
  return typeof first === 'string' && first !== '' && others.length === 0 ? first : undefined
}

/** Whether the pod that the identity names still runs. @throws Refusal */
export function requireAlive(identity: Identity, pod: unknown): void {
  const { metadata, spec, status } = (pod ?? {}) as {
    readonly metadata?: { readonly uid?: unknown; readonly deletionTimestamp?: unknown }
    readonly spec?: { readonly serviceAccountName?: unknown }
    readonly status?: { readonly phase?: unknown }
  }
  const { namespace, podName, podUid, serviceAccount } = identity
  const gone = (why: string): Refusal =>
    new Refusal('pod-gone', `pod ${namespace}/${podName} ${why}`)
  if (metadata === undefined) throw gone('does not exist')
  if (metadata.uid !== podUid) throw gone('is another pod of the same name')
  if (spec?.serviceAccountName !== serviceAccount) throw gone('runs as another ServiceAccount')
  if (metadata.deletionTimestamp !== undefined) throw gone('is being deleted')
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') throw gone('has ended')
}
