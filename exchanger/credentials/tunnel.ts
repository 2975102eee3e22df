import { request } from 'node:http'
import { request as requestByTls } from 'node:https'
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'

/** Connection to the proxy and its answer together. */
const TUNNEL_MS = 5000

/**
 * The proxy did not lead to STS:
 * - `ProxyUnreachable`: no connection to it, or none that it proved to be the end of
 * - `ProxyTimeout`: it took too long
 * - `ProxyAuthenticationRequired`: it wants a password (407), which pods do not have
 * - `ProxyRefused`: it says no (another 4xx)
 * - `ProxyFailed`: it cannot reach STS itself (5xx), or answers anything else
 */
class ProxyError extends NocredsError<
  | 'ProxyUnreachable'
  | 'ProxyTimeout'
  | 'ProxyAuthenticationRequired'
  | 'ProxyRefused'
  | 'ProxyFailed'
> {}

/**
 * A connection to STS that the proxy makes, by CONNECT: it sees host and port, and nothing of what is said.
 * Source: RFC 9110, CONNECT.
 *
 * @param to `host:port`
 * @param trust of a proxy by https
 * @throws ProxyError
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
    const fail = (code: ProxyError['code'], what: string): void => {
      clearTimeout(timer)
      reject(new ProxyError(code, `the proxy ${proxy.origin} ${what}`))
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

function codeFor(status: number): ProxyError['code'] {
  if (status === 407) return 'ProxyAuthenticationRequired'
  return status >= 400 && status < 500 ? 'ProxyRefused' : 'ProxyFailed'
}
