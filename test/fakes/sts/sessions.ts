/** Test double, part of the embedded STS: the credentials that it gave. Never shipped. */
import { createHash, randomBytes } from 'node:crypto'
import type { RoleArn } from '../../../contract/role-arn.ts'
import type { Clock } from '../../../shared/base/clock.ts'
import { recordSecret } from '../../leak-check.ts'
import type { SessionPolicies, SessionTags } from './session-parameters.ts'

/** One set of temporary credentials, their identity, and what services would be told of them. */
export interface Session extends SessionTags, SessionPolicies {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAtMs: number
  readonly accountId: string
  /** Of the role, with its path. */
  readonly roleArn: string
  /** `arn:aws:sts::<account>:assumed-role/<role>/<session name>`, without the role's path. */
  readonly arn: string
  /** `<role id>:<session name>`. */
  readonly userId: string
}

export interface Sessions {
  open(role: RoleArn, opened: Opened): Session
  /** Every session, in the order in which they were opened. */
  all(): Session[]
  find(accessKeyId: string): Session | undefined
}

interface Opened extends SessionTags, SessionPolicies {
  readonly sessionName: string
  readonly lifetimeSeconds: number
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Remembers every session, expired ones too, so that they are refused as expired. */
export function rememberSessions(clock: Clock): Sessions {
  const byAccessKeyId = new Map<string, Session>()
  return {
    open(role, opened) {
      const { sessionName, lifetimeSeconds, tags, transitiveTagKeys, policy, policyArns } = opened
      const expiresAtSeconds = Math.floor(clock.now() / 1000) + lifetimeSeconds
      const session: Session = {
        accessKeyId: `ASIA${base32(randomBytes(16))}`,
        secretAccessKey: randomBytes(30).toString('base64'),
        sessionToken: randomBytes(288).toString('base64'),
        expiresAtMs: expiresAtSeconds * 1000,
        accountId: role.accountId,
        roleArn: role.arn,
        tags,
        transitiveTagKeys,
        policy,
        policyArns,
        arn: `arn:${role.partition}:sts::${role.accountId}:assumed-role/${role.name}/${sessionName}`,
        userId: `${roleId(role)}:${sessionName}`,
      }
      byAccessKeyId.set(session.accessKeyId, session)
      for (const secret of [session.accessKeyId, session.secretAccessKey, session.sessionToken]) {
        recordSecret(secret)
      }
      return session
    },
    all: () => [...byAccessKeyId.values()],
    find: (accessKeyId) => byAccessKeyId.get(accessKeyId),
  }
}

/** 21 characters with IAM's prefix for roles; the same for the same role. */
function roleId(role: RoleArn): string {
  return `AROA${base32(createHash('sha256').update(role.arn).digest().subarray(0, 17))}`
}

/** One character a byte. */
function base32(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => BASE32[byte % BASE32.length]).join('')
}
