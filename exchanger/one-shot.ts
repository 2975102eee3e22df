import { ExchangerEnvError } from '../contract/env-table.ts'
import { messageOf } from '../shared/base/errors.ts'
import { SidecarError, formatFailure } from './failure.ts'

/** The output streams of a program. */
interface Output {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

/**
 * Runs a program that produces one text: it is written to stdout, or a failure to stderr as one line of JSON.
 *
 * @returns the exit code: 0, 1, or 2 for an invalid environment
 */
export async function oneShot(
  { stdout, stderr }: Output,
  produce: () => Promise<string>,
): Promise<number> {
  try {
    await write(stdout, await produce())
    return 0
  } catch (error) {
    await write(stderr, `${formatFailure(failureOf(error))}\n`)
    return error instanceof ExchangerEnvError ? 2 : 1
  }
}

function failureOf(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error
  if (error instanceof ExchangerEnvError) {
    return new SidecarError('refused', error.code, error.message)
  }
  return new SidecarError('transient', 'InternalError', messageOf(error))
}

function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => {
      resolve()
    })
  })
}
