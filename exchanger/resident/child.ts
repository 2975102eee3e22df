import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable } from 'node:stream'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import { codeOf } from '../../platform/errors.ts'
import { ExchangeError, nameOf, parseFailure, type Subject } from '../failure.ts'

/** One line of JSON; more than this says nothing more. */
const STDERR_MAX_BYTES = 16_384

/** How an exchange is started. The token is not in it: the child reads it from its file. */
export interface ExchangeCommand {
  readonly program: string
  readonly words: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Where TLS trust comes from, where it is not the built-in one. */
const TLS_TRUST: readonly string[] = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR']

/** What of the sidecar's environment an exchange needs, and nothing else. */
export function exchangeEnv(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const needed: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    const isNeeded = name === 'PATH' || name.startsWith('NOCREDS_') || TLS_TRUST.includes(name)
    if (isNeeded && value !== undefined) needed[name] = value
  }
  return needed
}

/**
 * Runs one exchange in a process of its own and reads what it says; the signal kills it.
 *
 * @throws ExchangeError: the child's own, or ExchangeKilled, ExchangeCrashed, MalformedOutput, or
 * Node's code where the process cannot be started
 */
export async function runExchange(
  command: ExchangeCommand,
  subject: Subject,
  signal: AbortSignal,
): Promise<CredentialDocument> {
  const { code, killedBy, stdout, stderr } = await outcomeOf(command, subject, signal)
  if (code !== 0) {
    const said = parseFailure(stderr)
    if (said !== undefined) throw said
    // What else is on stderr could be anything, a secret included.
    throw killedBy === null
      ? failure(subject, 'ExchangeCrashed', `its process ended with exit code ${code ?? 'none'}`)
      : failure(subject, 'ExchangeKilled', `its process was ended by ${killedBy}`)
  }
  try {
    return parseCredentialDocument(stdout)
  } catch {
    throw failure(subject, 'MalformedOutput', 'its process printed no credential document')
  }
}

interface Outcome {
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

function outcomeOf(
  { program, words, env }: ExchangeCommand,
  subject: Subject,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = (): void => {
      child.kill('SIGKILL')
    }
    const stdout = collect(child, 'stdout', CREDENTIAL_DOCUMENT_MAX_BYTES)
    const stderr = collect(child, 'stderr', STDERR_MAX_BYTES)
    if (signal.aborted) kill()
    signal.addEventListener('abort', kill, { once: true })
    child.once('error', (error) => {
      signal.removeEventListener('abort', kill)
      reject(failure(subject, codeOf(error) ?? 'SpawnFailed', 'its process cannot be started'))
    })
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', kill)
      resolve({ code, killedBy, stdout: stdout(), stderr: stderr() })
    })
  })
}

/** Gathers a stream's text; a child that prints more than `maxBytes` is killed. */
function collect(
  child: ChildProcessByStdio<null, Readable, Readable>,
  name: 'stdout' | 'stderr',
  maxBytes: number,
): () => string {
  const chunks: Buffer[] = []
  let size = 0
  child[name].on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) child.kill('SIGKILL')
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

function failure(subject: Subject, code: string, text: string): ExchangeError {
  return new ExchangeError('transient', code, `no exchange of ${nameOf(subject)}: ${text}`)
}
