/** Test double, part of the embedded STS: the credentials that it gave. Never shipped. */
import { createHash, randomBytes } from 'node:crypto'
import type { RoleArn } from '../../../contract/role-arn.ts'
import type { Clock } from '../../../shared/base/clock.ts'
import { recordSecret } from '../../leak-check.ts'

/** One set of temporary credentials and their identity. */
export interface Session {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAtMs: number
  readonly accountId: string
  /** `arn:aws:sts::<account>:assumed-role/<role>/<session name>`, without the role's path. */
  readonly arn: string
  /** `<role id>:<session name>`. */
  readonly userId: string
}

export interface Sessions {
  open(role: RoleArn, sessionName: string, lifetimeSeconds: number): Session
  find(accessKeyId: string): Session | undefined
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Remembers every session, expired ones too, so that they are refused as expired. */
export function rememberSessions(clock: Clock): Sessions {
  const byAccessKeyId = new Map<string, Session>()
  return {
    open(role, sessionName, lifetimeSeconds) {
      const expiresAtSeconds = Math.floor(clock.now() / 1000) + lifetimeSeconds
      const session: Session = {
        accessKeyId: `ASIA${base32(randomBytes(16))}`,
        secretAccessKey: randomBytes(30).toString('base64'),
        sessionToken: randomBytes(288).toString('base64'),
        expiresAtMs: expiresAtSeconds * 1000,
        accountId: role.accountId,
        arn: `arn:${role.partition}:sts::${role.accountId}:assumed-role/${role.name}/${sessionName}`,
        userId: `${roleId(role)}:${sessionName}`,
      }
      byAccessKeyId.set(session.accessKeyId, session)
      for (const secret of [session.accessKeyId, session.secretAccessKey, session.sessionToken]) {
        recordSecret(secret)
      }
      return session
    },
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
