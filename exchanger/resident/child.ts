import { spawn, type ChildProcess } from 'node:child_process'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { ExchangeError, parseFailure } from '../failure.ts'

/** How to start the exchange as a process of its own. */
export interface ExchangeCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const STDERR_MAX_BYTES = 8192

/**
 * Runs one exchange in a child, so that the memory of the AWS SDK is given back after each. The token
 * is read by the child itself and never passes through here.
 *
 * @throws ExchangeError
 */
export async function exchangeInChild(
  command: ExchangeCommand,
  signal: AbortSignal,
): Promise<CredentialDocument> {
  const child = spawn(command.program, command.args, {
    env: command.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr, status] = await Promise.all([
    collect(child, 'stdout', CREDENTIAL_DOCUMENT_MAX_BYTES),
    collect(child, 'stderr', STDERR_MAX_BYTES),
    ended(child),
  ])
  if (status !== 0) {
    const failure = parseFailure(stderr)
    throw failure ?? childFailed(`the exchange ended with ${String(status)} and gave no reason`)
  }
  return parseCredentialDocument(stdout)
}

function childFailed(message: string): ExchangeError {
  return new ExchangeError('transient', 'ExchangeFailed', message)
}

/** The text of a stream; a child that says more than it may is ended. */
function collect(
  child: ChildProcess,
  name: 'stdout' | 'stderr',
  maxBytes: number,
): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    child[name]?.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) child.kill('SIGKILL')
      else chunks.push(chunk)
    })
    child.once('close', () => {
      resolve(Buffer.concat(chunks).toString('utf8'))
    })
    child.once('error', () => {
      resolve('')
    })
  })
}

/** Exit code, or the name of the signal that ended it. */
function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(childFailed(`the exchange could not be run: ${error.message}`))
    })
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 'nothing')
    })
  })
}
