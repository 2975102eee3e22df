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
  type Workload,
} from '../failure.ts'

/** Limit for one line of JSON. */
const STDERR_MAX_BYTES = 16_384

/** How a child is started. It does not contain the token: the child reads it from its file. */
export interface ChildCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * Variables that an image may set: the source of TLS trust if it is not built in, and OpenSSL's configuration. The
 * guard refuses all of them in a pod.
 */
const IMAGE_VARIABLES: readonly string[] = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'OPENSSL_CONF',
]

/** Only those variables of the sidecar that a child needs. */
export function childEnv(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const needed: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    const isNeeded =
      name === 'PATH' || name.startsWith('NOCREDS_') || IMAGE_VARIABLES.includes(name)
    if (isNeeded && value !== undefined) needed[name] = value
  }
  return needed
}

/** What a child is expected to produce. */
interface ChildRun<Thing> {
  /** `exchange of arn:…`: as messages name what failed. */
  readonly wanted: string
  readonly maxBytes: number
  /** Parses what it printed. Throws if that is anything else. */
  readonly parse: (stdout: string) => Thing
  /** Description of what it should print. */
  readonly expected: string
}

/** Runs one exchange with STS; see {@link run}. @throws SidecarError */
export function runExchange(
  command: ChildCommand,
  subject: Subject,
  signal: AbortSignal,
): Promise<CredentialDocument> {
  const childRun: ChildRun<CredentialDocument> = {
    wanted: exchangeOf(subject),
    maxBytes: CREDENTIAL_DOCUMENT_MAX_BYTES,
    parse: parseCredentialDocument,
    expected: 'credential document',
  }
  return run(command, childRun, signal)
}

/**
 * Requests one certificate from the authority; see {@link run}.
 *
 * @param request `renewal` once a certificate is published, whose trust bundle then verifies the authority
 * @throws SidecarError
 */
export function runCertificate(
  command: ChildCommand,
  request: 'certificate' | 'renewal',
  subject: Workload,
  signal: AbortSignal,
): Promise<CertificateDocument> {
  const childRun: ChildRun<CertificateDocument> = {
    wanted: certificateFor(subject),
    maxBytes: CERTIFICATE_DOCUMENT_MAX_BYTES,
    parse: parseCertificateDocument,
    expected: 'key with its certificate',
  }
  return run(withArg(command, request), childRun, signal)
}

/** Requests the trust bundle from the authority once, as PEM; see {@link run}. @throws SidecarError */
export function runTrustBundle(
  command: ChildCommand,
  subject: Workload,
  signal: AbortSignal,
): Promise<string> {
  const childRun: ChildRun<string> = {
    wanted: trustBundleFor(subject),
    maxBytes: TRUST_BUNDLE_DOCUMENT_MAX_BYTES,
    parse: parseTrustBundle,
    expected: 'trust bundle',
  }
  return run(withArg(command, 'trust-bundle'), childRun, signal)
}

function withArg(command: ChildCommand, arg: string): ChildCommand {
  return { ...command, args: [...command.args, arg] }
}

/**
 * Runs a child process and parses its output; the signal kills it.
 *
 * @throws SidecarError: the child's own, or ExchangeKilled, ExchangeCrashed, MalformedOutput, or
 * Node's code if the process cannot be started
 */
async function run<Thing>(
  command: ChildCommand,
  childRun: ChildRun<Thing>,
  signal: AbortSignal,
): Promise<Thing> {
  const { wanted } = childRun
  const { code, killedBy, stdout, stderr } = await outcomeOf(command, childRun, signal)
  if (code !== 0) {
    const reported = parseFailure(stderr)
    if (reported !== undefined) throw reported
    // Anything else on stderr is not shown, because it could contain a secret.
    throw killedBy === null
      ? failure(wanted, 'ExchangeCrashed', `its process exited with code ${code ?? 'none'}`)
      : failure(wanted, 'ExchangeKilled', `its process was killed by ${killedBy}`)
  }
  try {
    return childRun.parse(stdout)
  } catch {
    throw failure(wanted, 'MalformedOutput', `its process did not print a ${childRun.expected}`)
  }
}

interface Outcome {
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

function outcomeOf(
  { program, args, env }: ChildCommand,
  { wanted, maxBytes }: ChildRun<unknown>,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
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

/** Collects a stream's text; a child that prints more than `maxBytes` is killed. */
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
