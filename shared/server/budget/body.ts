import { NocredsError } from '../../base/errors.ts'

/** What is kept of a body that is too large. */
export const HEAD_BYTES = 1024

/** A body that is not read to its end. */
export class BodyError extends NocredsError<
  'ERR_BODY_TOO_LARGE' | 'ERR_BODY_ABORTED' | 'ERR_BODY_OVER_BUDGET'
> {
  /** Its first bytes, at most {@link HEAD_BYTES}, where it is too large and was read to its end all the same. */
  readonly head: string

  constructor(code: BodyError['code'], message: string, head = '') {
    super(code, message)
    this.head = head
  }
}

/** A whole body. What it is charged with stays until `release`. */
export interface Body {
  /** Of the caller. */
  readonly address: string
  /** In bytes. */
  readonly size: number
  /** Its bytes; call it once, at the moment when they are needed, as they are copied where they came in parts. */
  take(): Buffer
  /** Changes what it is charged with, for what was made of it. @throws BodyError over budget */
  charge(bytes: number): void
  /** Gives back what it is charged with; call it once the request is answered. */
  release(): void
}

export const ENDED_EARLY = 'the body ended early'

export function endedEarly(): BodyError {
  return new BodyError('ERR_BODY_ABORTED', ENDED_EARLY)
}
