import { NocredsError } from '../shared/base/errors.ts'

/** What can be wrong, and what the kubelet is told: the name of a gRPC status. */
export const DRIVER_ERRORS = {
  /** The request is not one that a kubelet sends for a pod that the webhook changed. */
  ERR_REQUEST: 'INVALID_ARGUMENT',
  /** The bytes are not a message of the protocol. */
  ERR_MESSAGE: 'INVALID_ARGUMENT',
  /** No token for the audience that the pod wants. */
  ERR_AUDIENCE: 'INVALID_ARGUMENT',
  ERR_ATTRIBUTE_MISSING: 'INVALID_ARGUMENT',
  ERR_ATTRIBUTE_UNKNOWN: 'INVALID_ARGUMENT',
  ERR_ATTRIBUTE_OUT_OF_BOUNDS: 'INVALID_ARGUMENT',
  ERR_ATTRIBUTE_CONFLICT: 'INVALID_ARGUMENT',
  /** The token is not one of this pod. */
  ERR_TOKEN_POD: 'PERMISSION_DENIED',
  /** Too many calls, or one that takes too long: the kubelet tries again. */
  ERR_BUSY: 'UNAVAILABLE',
  /** The kubelet has not prepared the volume yet. */
  ERR_VOLUME_NOT_READY: 'UNAVAILABLE',
  /** Another user's file or folder has a name that the driver needs. */
  ERR_VOLUME_OCCUPIED: 'PERMISSION_DENIED',
  /** The volume cannot be written or read: it is full, for example. */
  ERR_VOLUME: 'INTERNAL',
  /** Something that is not a socket has the name of one of the driver's sockets. */
  ERR_SOCKET: 'INTERNAL',
} as const satisfies Record<
  string,
  'INVALID_ARGUMENT' | 'PERMISSION_DENIED' | 'UNAVAILABLE' | 'INTERNAL'
>

export type DriverErrorCode = keyof typeof DRIVER_ERRORS

/** An error of the driver. Its message goes to the pod's events, so it never holds a secret. */
export class DriverError extends NocredsError<DriverErrorCode> {}

/** Text from outside, for a message: on one line, at most 100 characters. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
