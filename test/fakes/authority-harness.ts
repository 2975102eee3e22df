/** Test double: authorities in this process, before a fake apiserver. Never shipped. */
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { parseFlags } from '../../authority/config.ts'
import { startAuthority } from '../../authority/run.ts'
import { AUTHORITY, type IssuedCertificate } from '../../contract/certificates.ts'
import { realClock } from '../../shared/base/clock.ts'
import type { LogFields, Logger } from '../../shared/base/log.ts'
import type { RunningServers } from '../../shared/server/servers.ts'
import type { FakeApiserver } from './apiserver.ts'
import { authorityCluster, kubeOf, SECRET_PATH, TOKEN } from './authority-cluster.ts'
import { csrPem } from './csr.ts'
import { eventually } from './eventually.ts'

export interface Ask {
  /** The body, as text or to be JSON; a good one if none is given. */
  readonly body?: unknown
  readonly token?: string
  readonly path?: string
  readonly method?: 'POST' | 'GET'
  /** Of 127/8: where the request comes from. */
  readonly from?: string
}

export interface Answer {
  readonly status: number
  readonly body: IssuedCertificate & { readonly code: string; readonly message: string }
}

/** Everything real but the 5 seconds of the drain. */
const clock = {
  ...realClock,
  after: (delayMs: number, action: () => void) =>
    realClock.after(delayMs === 5000 ? 0 : delayMs, action),
}

/** Waits until the assertion holds. */
export async function soon(assertion: () => void): Promise<void> {
  await eventually(() => {
    try {
      assertion()
      return true
    } catch {
      return false
    }
  })
}

export class AuthorityHarness {
  readonly api: FakeApiserver
  /** What was logged, oldest first. */
  lines: LogFields[] = []
  readonly #running: RunningServers[] = []

  private constructor(api: FakeApiserver) {
    this.api = api
  }

  static async open(): Promise<AuthorityHarness> {
    return new AuthorityHarness(await authorityCluster())
  }

  /** A replica that is ready. */
  async start(...flags: string[]): Promise<RunningServers> {
    const note = (fields: LogFields): void => {
      this.lines.push(fields)
    }
    const log: Logger = { debug: note, info: note, warn: note, error: note }
    const config = parseFlags(['--port', '0', '--metrics-port', '0', ...flags])
    const deps = { clock, random: Math.random, log, kube: kubeOf(this.api) }
    const authority = await startAuthority(config, deps)
    this.#running.push(authority)
    await eventually(() => authority.isReady())
    return authority
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((one) => one.stop()))
    await this.api.stop()
  }

  linesOf(event: 'issued' | 'refused'): LogFields[] {
    return this.lines.filter((line) => line['event'] === event)
  }

  /** PEM of the trusted roots, from the Secret. */
  roots(): string {
    const { data } = this.api.store.present(SECRET_PATH) as unknown as {
      readonly data: Readonly<Record<string, string>>
    }
    return Buffer.from(data['ca.crt'] ?? '', 'base64').toString()
  }

  /** @param seen called with the answer; never, if the request breaks off */
  request(
    { port }: RunningServers,
    asked: Ask,
    seen: (answer: Answer) => void,
  ): ReturnType<typeof request> {
    const { body = { csr: csrPem(), durationSeconds: 3600 }, token = TOKEN } = asked
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
    const { path = AUTHORITY.path, method = 'POST' } = asked
    const to = { host: '127.0.0.1', port, path, method }
    const from = asked.from === undefined ? {} : { localAddress: asked.from, agent: false }
    const outgoing = request(
      { ...to, ...from, headers, ca: this.roots(), servername: AUTHORITY.host },
      (response) => {
        void text(response).then((said) => {
          seen({ status: response.statusCode ?? 0, body: JSON.parse(said) as Answer['body'] })
        })
      },
    )
    if (method === 'GET') outgoing.end()
    else outgoing.end(typeof body === 'string' ? body : JSON.stringify(body))
    return outgoing
  }

  /** A request whose body never ends. */
  beginSlowly({ port }: RunningServers): {
    readonly request: ReturnType<typeof request>
    readonly connected: Promise<void>
  } {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` }
    const to = { host: '127.0.0.1', port, path: AUTHORITY.path, method: 'POST', agent: false }
    const slow = request({ ...to, headers, ca: this.roots(), servername: AUTHORITY.host })
    slow.on('error', () => undefined)
    const connected = new Promise<void>((resolve) => {
      slow.on('socket', (socket) => {
        socket.once('secureConnect', () => {
          slow.write('{"csr":', () => {
            resolve()
          })
        })
      })
    })
    return { request: slow, connected }
  }

  ask(authority: RunningServers, asked: Ask = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.request(authority, asked, resolve).on('error', reject)
    })
  }
}
