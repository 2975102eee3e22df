import { NocredsError } from '../../base/errors.ts'

/** Bytes that are kept of a body that is too large. */
export const HEAD_BYTES = 1024

/** A body that was not read completely. */
export class BodyError extends NocredsError<
  'ERR_BODY_TOO_LARGE' | 'ERR_BODY_ABORTED' | 'ERR_BODY_OVER_BUDGET'
> {
  /** Its first bytes, at most {@link HEAD_BYTES}, if it is too large but was read to its end. */
  readonly head: string

  constructor(code: BodyError['code'], message: string, head = '') {
    super(code, message)
    this.head = head
  }
}

/** A complete body. It stays charged until `release`. */
export interface Body {
  /** Address of the client. */
  readonly address: string
  /** In bytes. */
  readonly size: number
  /** Its bytes; call it once, when they are needed, because parts are copied together. */
  take(): Buffer
  /** Changes the charged bytes, for data that was derived from it. @throws BodyError over budget */
  charge(bytes: number): void
  /** Ends the charge; call it once the response is sent. */
  release(): void
}

export const ENDED_EARLY = 'the body is incomplete'

export function endedEarly(): BodyError {
  return new BodyError('ERR_BODY_ABORTED', ENDED_EARLY)
}
