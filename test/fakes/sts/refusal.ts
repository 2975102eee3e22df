/** Test double, part of the embedded STS. Never shipped. */
import { NocredsError } from '../../../shared/base/errors.ts'

/** HTTP statuses of the codes. Source: STS API reference, "Common Errors" and each action's errors. */
const STATUS = {
  AccessDenied: 403,
  ExpiredToken: 403,
  ExpiredTokenException: 400,
  IDPCommunicationError: 400,
  IncompleteSignature: 400,
  InvalidAction: 400,
  InvalidClientTokenId: 403,
  InvalidIdentityToken: 400,
  InvalidParameterValue: 400,
  MalformedPolicyDocument: 400,
  MissingAction: 400,
  MissingAuthenticationToken: 403,
  PackedPolicyTooLarge: 400,
  SignatureDoesNotMatch: 403,
  ValidationError: 400,
} as const

export type RefusalCode = keyof typeof STATUS

/** STS refuses a request; the code, the message and the status are what the client sees. */
export class Refusal extends NocredsError<RefusalCode> {
  get status(): number {
    return STATUS[this.code]
  }
}
