import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable } from 'node:stream'
import {
  CERTIFICATE_DOCUMENT_MAX_BYTES,
  parseCertificateDocument,
  type CertificateDocument,
} from '../../contract/certificate-document.ts'
import {
  CREDENTIAL_DOCUMENT_MAX_BYTES,
  parseCredentialDocument,
  type CredentialDocument,
} from '../../contract/credentials.ts'
import {
  parseTrustBundle,
  TRUST_BUNDLE_DOCUMENT_MAX_BYTES,
} from '../../contract/trust-bundle-document.ts'
import { codeOf } from '../../shared/base/errors.ts'
import {
  certificateFor,
  SidecarError,
  exchangeOf,
  parseFailure,
  trustBundleFor,
  type Subject,
} from '../failure.ts'

/** One line of JSON; more than this says nothing more. */
const STDERR_MAX_BYTES = 16_384

/** How an exchange is started. The token is not in it: the child reads it from its file. */
export interface ChildCommand {
  readonly program: string
  readonly words: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * What an image may set: where TLS trust comes from if it is not the built-in one, and OpenSSL's own
 * configuration. The guard refuses all of them in a pod.
 */
const OF_IMAGE: readonly string[] = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'OPENSSL_CONF',
]

/** What of the sidecar's environment an exchange needs, and nothing else. */
export function childEnv(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const needed: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    const isNeeded = name === 'PATH' || name.startsWith('NOCREDS_') || OF_IMAGE.includes(name)
    if (isNeeded && value !== undefined) needed[name] = value
  }
  return needed
}

/** What a child is run for. */
interface Errand<Thing> {
  /** `exchange of arn:…`: what there is none of where it fails. */
  readonly wanted: string
  readonly maxBytes: number
  /** Reads what it printed. Throws where that is something else. */
  readonly parse: (stdout: string) => Thing
  /** What it should have printed. */
  readonly printed: string
}

/** Runs one exchange at STS, as {@link run} does. @throws SidecarError */
export function runExchange(
  command: ChildCommand,
  subject: Subject,
  signal: AbortSignal,
): Promise<CredentialDocument> {
  const errand: Errand<CredentialDocument> = {
    wanted: exchangeOf(subject),
    maxBytes: CREDENTIAL_DOCUMENT_MAX_BYTES,
    parse: parseCredentialDocument,
    printed: 'credential document',
  }
  return run(command, errand, signal)
}

/**
 * Asks the authority once for a certificate, as {@link run} does.
 *
 * @param word `renewal` once something is published, by whose trust bundle the authority is known then
 * @throws SidecarError
 */
export function runCertificate(
  command: ChildCommand,
  word: 'certificate' | 'renewal',
  subject: Omit<Subject, 'roleArn'>,
  signal: AbortSignal,
): Promise<CertificateDocument> {
  const errand: Errand<CertificateDocument> = {
    wanted: certificateFor(subject),
    maxBytes: CERTIFICATE_DOCUMENT_MAX_BYTES,
    parse: parseCertificateDocument,
    printed: 'key with its certificate',
  }
  return run(withWord(command, word), errand, signal)
}

/** Asks the authority once for its trust bundle, as {@link run} does; gives PEM. @throws SidecarError */
export function runTrustBundle(
  command: ChildCommand,
  subject: Omit<Subject, 'roleArn'>,
  signal: AbortSignal,
): Promise<string> {
  const errand: Errand<string> = {
    wanted: trustBundleFor(subject),
    maxBytes: TRUST_BUNDLE_DOCUMENT_MAX_BYTES,
    parse: parseTrustBundle,
    printed: 'trust bundle',
  }
  return run(withWord(command, 'trust-bundle'), errand, signal)
}

function withWord(command: ChildCommand, word: string): ChildCommand {
  return { ...command, words: [...command.words, word] }
}

/**
 * Runs one exchange in a process of its own and reads what it says; the signal kills it.
 *
 * @throws SidecarError: the child's own, or ExchangeKilled, ExchangeCrashed, MalformedOutput, or
 * Node's code where the process cannot be started
 */
async function run<Thing>(
  command: ChildCommand,
  errand: Errand<Thing>,
  signal: AbortSignal,
): Promise<Thing> {
  const { wanted } = errand
  const { code, killedBy, stdout, stderr } = await outcomeOf(command, errand, signal)
  if (code !== 0) {
    const said = parseFailure(stderr)
    if (said !== undefined) throw said
    // What else is on stderr could be anything, a secret included.
    throw killedBy === null
      ? failure(wanted, 'ExchangeCrashed', `its process ended with exit code ${code ?? 'none'}`)
      : failure(wanted, 'ExchangeKilled', `its process was ended by ${killedBy}`)
  }
  try {
    return errand.parse(stdout)
  } catch {
    throw failure(wanted, 'MalformedOutput', `its process printed no ${errand.printed}`)
  }
}

interface Outcome {
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

function outcomeOf(
  { program, words, env }: ChildCommand,
  { wanted, maxBytes }: Errand<unknown>,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = (): void => {
      child.kill('SIGKILL')
    }
    const stdout = collect(child, 'stdout', maxBytes)
    const stderr = collect(child, 'stderr', STDERR_MAX_BYTES)
    if (signal.aborted) kill()
    signal.addEventListener('abort', kill, { once: true })
    child.once('error', (error) => {
      signal.removeEventListener('abort', kill)
      reject(failure(wanted, codeOf(error) ?? 'SpawnFailed', 'its process cannot be started'))
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

function failure(wanted: string, code: string, text: string): SidecarError {
  return new SidecarError('transient', code, `no ${wanted}: ${text}`)
}
