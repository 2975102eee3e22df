import { Agent, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect, type ConnectionOptions } from 'node:tls'
import type { CredentialsConfig } from '../../contract/exchanger-env.ts'
import { isProxied } from './proxied.ts'
import { openTunnel } from './tunnel.ts'

/** The route to STS. */
type Route = Pick<CredentialsConfig, 'stsProxy' | 'stsNoProxy' | 'stsCa'>

/**
 * Opens TLS connections to STS, through the proxy if there is one and the host is not an exception. With `stsCa`, STS
 * and a proxy by https are verified only by those CAs. No other variable is used.
 *
 * Node's own option (`proxyEnv` of an agent) has no CA for the proxy, and a Node older than 24.5 would silently bypass
 * the proxy.
 */
export class StsAgent extends Agent {
  readonly #route: Route

  constructor(route: Route) {
    super()
    this.#route = route
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { stsProxy, stsNoProxy, stsCa } = this.#route
    const trust = stsCa === undefined ? {} : { ca: stsCa }
    const host = options.host ?? ''
    const to = `${host.includes(':') ? `[${host}]` : host}:${options.port ?? 443}`
    if (stsProxy === undefined || !isProxied(new URL(`https://${to}`), stsNoProxy)) {
      return super.createConnection({ ...options, ...trust }, callback)
    }
    const done = callback as (error: Error | null, stream?: Duplex) => void
    openTunnel(new URL(stsProxy), to, trust).then(
      (socket) => {
        done(null, connect({ ...(options as ConnectionOptions), ...trust, socket }))
      },
      (error: unknown) => {
        done(error as Error)
      },
    )
    return undefined
  }
}
