import { request } from 'node:http'
import { request as requestByTls } from 'node:https'
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'

/** Connection to the proxy and its answer together. */
const TUNNEL_MS = 5000

/**
 * Why the proxy gave no connection to STS:
 * - `ProxyUnreachable`: cannot connect to it, or its TLS certificate is not trusted
 * - `ProxyTimeout`: it took too long
 * - `ProxyAuthenticationRequired`: it requires a password (407), which pods do not have
 * - `ProxyRefused`: it refused (another 4xx)
 * - `ProxyFailed`: it cannot reach STS itself (5xx), or it gave any other response
 */
type ProxyFault =
  | 'ProxyUnreachable'
  | 'ProxyTimeout'
  | 'ProxyAuthenticationRequired'
  | 'ProxyRefused'
  | 'ProxyFailed'

/**
 * A connection to STS that the proxy makes, by CONNECT: it sees host and port, and nothing of what is said.
 * Source: RFC 9110, CONNECT.
 *
 * @param to `host:port`
 * @param trust of a proxy by https
 * @throws NocredsError with a {@link ProxyFault}
 */
export function openTunnel(
  proxy: URL,
  to: string,
  trust: Pick<ConnectionOptions, 'ca'>,
): Promise<Socket> {
  const ask = proxy.protocol === 'https:' ? requestByTls : request
  return new Promise((resolve, reject) => {
    const asked = ask({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port,
      method: 'CONNECT',
      path: to,
      headers: { host: to },
      agent: false,
      ...trust,
    })
    const fail = (code: ProxyFault, what: string): void => {
      clearTimeout(timer)
      reject(new NocredsError(code, `the proxy ${proxy.origin} ${what}`))
      asked.destroy()
    }
    const timer = setTimeout(() => {
      fail('ProxyTimeout', `did not lead to ${to} in ${TUNNEL_MS / 1000} s`)
    }, TUNNEL_MS)
    asked.on('error', (error) => {
      fail('ProxyUnreachable', `cannot be reached: ${codeOf(error) ?? messageOf(error)}`)
    })
    // Node calls it a response where the proxy answers CONNECT, whatever the status.
    asked.on('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode < 200 || statusCode > 299) {
        fail(codeFor(statusCode), `does not lead to ${to}: HTTP status ${statusCode}`)
        socket.destroy()
        return
      }
      clearTimeout(timer)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asked.end()
  })
}

function codeFor(status: number): ProxyFault {
  if (status === 407) return 'ProxyAuthenticationRequired'
  return status >= 400 && status < 500 ? 'ProxyRefused' : 'ProxyFailed'
}
