import { request } from 'node:http'
import { request as requestByTls } from 'node:https'
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'

/** Limit for the connection to the proxy and its response together. */
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
 * Opens a connection to STS through the proxy, by CONNECT: the proxy sees host and port, but not the content.
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
  const send = proxy.protocol === 'https:' ? requestByTls : request
  return new Promise((resolve, reject) => {
    const outgoing = send({
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
      outgoing.destroy()
    }
    const timer = setTimeout(() => {
      fail('ProxyTimeout', `did not connect to ${to} in ${TUNNEL_MS / 1000} s`)
    }, TUNNEL_MS)
    outgoing.on('error', (error) => {
      fail('ProxyUnreachable', `cannot be reached: ${codeOf(error) ?? messageOf(error)}`)
    })
    // Node emits this for every response to CONNECT, whatever the status.
    outgoing.on('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode < 200 || statusCode > 299) {
        fail(codeFor(statusCode), `did not connect to ${to}: HTTP status ${statusCode}`)
        socket.destroy()
        return
      }
      clearTimeout(timer)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    outgoing.end()
  })
}

function codeFor(status: number): ProxyFault {
  if (status === 407) return 'ProxyAuthenticationRequired'
  return status >= 400 && status < 500 ? 'ProxyRefused' : 'ProxyFailed'
}
