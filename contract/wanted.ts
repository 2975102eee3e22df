import type { CertificateSource } from './certificate-source.ts'
import type { Delivery } from './delivery.ts'
import type { ExchangerResources } from './exchanger-resources.ts'
import type { Exchanger } from './exchangers.ts'
import type { RoleArn } from './role-arn.ts'
import type { SessionTag } from './session-tags.ts'

/** The AWS credentials that one pod is to get. */
export interface WantedCredentials {
  /** That of slot 0, see container-roles.ts. */
  readonly role: RoleArn
  /** Undefined: every container has `role`. */
  readonly containers: WantedContainers | undefined
  readonly delivery: Delivery
  readonly sessionDurationSeconds: number
  /** A template, see session-name.ts. */
  readonly sessionName: string
  readonly audience: string
  readonly tokenExpirationSeconds: number
  /** Undefined if neither annotation nor flag names one. */
  readonly region: string | undefined
  /** The role that is assumed with the credentials of `role`, and is that of the app; undefined: `role` is. */
  readonly target: WantedTarget | undefined
  /** JSON that narrows the session of the app. */
  readonly sessionPolicy: string | undefined
  /** ARNs of policies that do. */
  readonly sessionPolicyArns: readonly string[] | undefined
}

/** Roles that containers of the pod have for themselves. */
export interface WantedContainers {
  /** Roles of the slots from 1 on. */
  readonly moreRoles: readonly RoleArn[]
  /** Slots of containers by their names. */
  readonly slots: ReadonlyMap<string, number>
  /** What every other container has: the role of slot 0, or no role. */
  readonly others: 'slot-0' | 'nothing'
}

/** A second role, assumed with the credentials of the first one. */
export interface WantedTarget {
  readonly role: RoleArn
  readonly externalId: string | undefined
  /** Besides those of nocreds. */
  readonly tags: readonly SessionTag[]
}

/** The certificate that one pod is to get. */
export interface WantedCertificate {
  /** From notBefore to notAfter. */
  readonly durationSeconds: number
  /** Names beside the identity; may be empty. */
  readonly dnsNames: readonly string[]
}

/** What one pod is to get: credentials, a certificate, or both. */
export interface InjectionRequest {
  readonly credentials: WantedCredentials | undefined
  readonly certificate: WantedCertificate | undefined
  /** Exchanges the token, and asks the authority for the certificate. */
  readonly exchanger: Exchanger
  /** Names of containers that get nothing. */
  readonly skipContainers: readonly string[]
  /** Requests and limits of the sidecar, unless those of the pod itself decide. */
  readonly exchangerResources: ExchangerResources
}

/** The webhook's flags that apply if no annotation does. */
export interface InjectionDefaults {
  readonly audience: string
  readonly delivery: Delivery
  readonly region: string | undefined
  readonly exchanger: Exchanger
  /** Audiences of the tokens that the CSIDriver requests. */
  readonly driverAudiences: readonly string[]
  readonly certificateSource: CertificateSource
  readonly exchangerResources: ExchangerResources
  /** Before names of roles; undefined: only full ARNs are allowed. */
  readonly baseRoleArn: string | undefined
}
