/** Test double: AWS's STS on loopback, for the demo and the tests. Never shipped. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { sleep, type Clock } from '../../../shared/base/clock.ts'
import { messageOf } from '../../../shared/base/errors.ts'
import { closeAtOnce, listenOnLoopback } from '../loopback-server.ts'
import { ACTIONS, type Account, type Role } from './actions.ts'
import { answerWithoutThinking, type Fault } from './fault.ts'
import { Refusal } from './refusal.ts'
import { rememberSessions, type Session } from './sessions.ts'
import { assertTrustPolicy, type TrustPolicy } from './trust-policy.ts'
import type { OidcProvider } from './web-identity.ts'
import { errorXml, successXml, type XmlError, type XmlFields } from './xml.ts'

export interface StsOptions {
  /** Expiry, signatures and the `Date` header follow it. */
  readonly clock: Clock
  /** The OIDC providers of every account. */
  readonly issuers: readonly OidcProvider[]
  readonly roles: readonly Role[]
  /**
   * The longest lifetime that it grants, so that refreshes can be watched; DurationSeconds keeps its
   * bounds. The only liberty that this STS takes.
   */
  readonly lifetimeSeconds?: number
  /** With it, it speaks TLS alone. */
  readonly tls?: { readonly certPem: string; readonly keyPem: string }
}

/** One request that was answered, for assertions. Nothing in it is secret. */
interface StsCall {
  readonly action: string | undefined
  readonly roleArn: string | undefined
  readonly sessionName: string | undefined
  readonly durationSeconds: number | undefined
  /** `success`, the code that it was refused with, or `fault:` and the kind of the fault. */
  readonly outcome: string
}

export interface Sts {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly url: string
  readonly calls: readonly StsCall[]
  /** @throws TrustPolicyError; an Error if there is no such role */
  setTrust(roleArn: string, policy: TrustPolicy): void
  /** Every session that it gave; keys and tokens in them are secret. */
  sessions(): Session[]
  /** What goes wrong from now on with each request, or those of one action; undefined ends it. */
  fault(fault: Fault | undefined, action?: string): void
  /** Goes down: connections are refused. What it knows stays. */
  stop(): Promise<void>
  /** Comes up again on the same port. */
  start(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly xml: string
  readonly outcome: string
  readonly requestId: string
}

/** Far above any request that STS takes; a token alone may have 20,000 characters. */
const MAX_BODY_BYTES = 65_536
const VERSION = '2011-06-15'

/** @throws TrustPolicyError if IAM would not store the policy of a role */
export async function startSts(options: StsOptions): Promise<Sts> {
  const roles = new Map(options.roles.map((role) => [role.arn, role]))
  for (const role of roles.values()) assertTrustPolicy(role.trust)
  const account: Account = {
    clock: options.clock,
    providers: options.issuers,
    roles,
    sessions: rememberSessions(options.clock),
    lifetimeSeconds: options.lifetimeSeconds,
  }
  const calls: StsCall[] = []
  let fault: Faulty | undefined
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    serve({ account, calls, fault }, request, response).catch(() => response.destroy())
  }
  const { tls } = options
  const server =
    tls === undefined
      ? createServer(answer)
      : createTlsServer({ cert: tls.certPem, key: tls.keyPem }, answer)
  const port = await listenOnLoopback(server, 0)
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    calls,
    setTrust(roleArn, policy) {
      const role = roles.get(roleArn)
      if (role === undefined) throw new Error(`there is no role ${roleArn}`)
      assertTrustPolicy(policy)
      roles.set(roleArn, { ...role, trust: policy })
    },
    sessions: () => account.sessions.all(),
    fault(next, action) {
      fault = next === undefined ? undefined : { fault: next, action }
    },
    stop: () => closeAtOnce(server),
    async start() {
      await listenOnLoopback(server, port)
    },
  }
}

/** A fault, and the action that has it; undefined: all have it. */
interface Faulty {
  readonly fault: Fault
  readonly action: string | undefined
}

interface Serving {
  readonly account: Account
  readonly calls: StsCall[]
  readonly fault: Faulty | undefined
}

async function serve(
  { account, calls, fault: faulty }: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request)
  const form = new URLSearchParams(body?.toString('utf8'))
  const fault = faultOf(faulty, form.get('Action'))
  const record = (outcome: string): void => {
    calls.push({ ...recordOf(form), outcome })
  }
  response.setHeader('date', new Date(account.clock.now()).toUTCString())
  if (fault !== undefined && answerWithoutThinking(fault, response)) {
    record(`fault:${fault.kind}`)
    return
  }
  const answer =
    body === undefined
      ? refused({
          status: 413,
          code: 'RequestEntityTooLarge',
          message: 'Request body is too large',
        })
      : await decide(account, form, { request, body })
  record(answer.outcome)
  if (fault?.kind === 'slow') await sleep(account.clock, fault.delayMs)
  const xml = fault?.kind === 'truncated' ? answer.xml.slice(0, answer.xml.length / 2) : answer.xml
  response.writeHead(answer.status, {
    'content-type': 'text/xml',
    'content-length': Buffer.byteLength(xml),
    'x-amzn-requestid': answer.requestId,
  })
  response.end(xml)
}

function faultOf(faulty: Faulty | undefined, asked: string | null): Fault | undefined {
  if (faulty === undefined) return undefined
  const { fault, action = asked } = faulty
  return action === asked ? fault : undefined
}

async function decide(
  account: Account,
  form: URLSearchParams,
  { request, body }: { readonly request: IncomingMessage; readonly body: Buffer },
): Promise<Answer> {
  try {
    const name = actionOf(request, form)
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    const version = form.get('Version') ?? 'NO_VERSION_SPECIFIED'
    if (action === undefined || version !== VERSION) {
      const message = `Could not find operation ${name} for version ${version}`
      throw new Refusal('InvalidAction', message)
    }
    return granted(name, await action(account, form, { headers: request.headers, body }))
  } catch (error) {
    if (error instanceof Refusal) return refused(error)
    return refused({ status: 500, code: 'InternalFailure', message: messageOf(error) })
  }
}

function actionOf(request: IncomingMessage, form: URLSearchParams): string {
  const name = form.get('Action')
  if (request.method !== 'POST' || request.url !== '/' || name === null) {
    throw new Refusal(
      'MissingAction',
      'the embedded STS takes POST / with a form that has an Action',
    )
  }
  return name
}

function granted(action: string, result: XmlFields): Answer {
  const requestId = randomUUID()
  return { status: 200, xml: successXml(action, result, requestId), outcome: 'success', requestId }
}

function refused(error: XmlError): Answer {
  const requestId = randomUUID()
  const { status, code } = error
  return { status, xml: errorXml(error, requestId), outcome: code, requestId }
}

function recordOf(form: URLSearchParams): Omit<StsCall, 'outcome'> {
  const duration = form.get('DurationSeconds')
  return {
    action: form.get('Action') ?? undefined,
    roleArn: form.get('RoleArn') ?? undefined,
    sessionName: form.get('RoleSessionName') ?? undefined,
    durationSeconds: duration === null ? undefined : Number(duration),
  }
}

/** Undefined if the body is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined
}
