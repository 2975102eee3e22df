/** Test double: a proxy on loopback that leads on by CONNECT, and what can go wrong with one. Never shipped. */
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { closeAtOnce, listenOnLoopback } from './loopback-server.ts'

/** A status instead of a tunnel; or it closes the connection, or says nothing at all. */
type ProxyFault = number | 'close' | 'hang'

export interface ConnectProxyOptions {
  /** Ports on loopback by names that no resolver knows, such as `sts.example.com:443`; others lead where they say. */
  readonly hosts?: Readonly<Record<string, number>>
  readonly tls?: { readonly certPem: string; readonly keyPem: string }
}

export interface ConnectProxy {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly url: string
  /** `host:port` of each CONNECT, and `GET /` and the like of anything else that it was asked. */
  readonly asked: readonly string[]
  fault(fault: ProxyFault | undefined): void
  stop(): Promise<void>
}

export async function startConnectProxy({
  hosts = {},
  tls,
}: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const asked: string[] = []
  const open = new Set<Duplex>()
  let fault: ProxyFault | undefined
  const server =
    tls === undefined ? createServer() : createTlsServer({ cert: tls.certPem, key: tls.keyPem })
  server.on('request', ({ method = '', url = '' }, response) => {
    asked.push(`${method} ${url}`)
    response.writeHead(400).end()
  })
  server.on('connect', ({ url: to = '' }: IncomingMessage, socket: Duplex) => {
    asked.push(to)
    open.add(socket)
    socket.on('error', () => socket.destroy())
    if (fault === 'hang') return
    if (fault === 'close') {
      socket.destroy()
      return
    }
    if (fault !== undefined) {
      socket.end(`HTTP/1.1 ${fault} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    const { hostname, port } = new URL(`http://${to}`)
    const behind = connect(
      hosts[to] ?? Number(port),
      hosts[to] === undefined ? hostname : '127.0.0.1',
    )
    open.add(behind)
    behind.on('error', () => socket.destroy())
    socket.on('close', () => behind.destroy())
    behind.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(behind).pipe(socket)
    })
  })
  const port = await listenOnLoopback(server, 0)
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    asked,
    fault(next) {
      fault = next
    },
    async stop() {
      for (const socket of open) socket.destroy()
      await closeAtOnce(server)
    },
  }
}
