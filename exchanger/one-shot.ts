import { ExchangerEnvError } from '../contract/env-table.ts'
import { messageOf } from '../shared/base/errors.ts'
import { SidecarError, formatFailure } from './failure.ts'

/** Where a program speaks. */
interface Output {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

/**
 * A program that gives one thing and ends: the thing is on stdout, or a failure is one line of JSON on
 * stderr.
 *
 * @returns the exit code: 0, 1, or 2 where the environment is bad
 */
export async function oneShot(
  { stdout, stderr }: Output,
  give: () => Promise<string>,
): Promise<number> {
  try {
    await write(stdout, await give())
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
