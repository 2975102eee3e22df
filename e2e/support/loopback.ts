/** Small servers and calls on loopback for the tests of examples/mutual-tls. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer, request } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import type { TlsFiles } from '../certificates/pki.ts'

export interface Listening {
  readonly port: number
  close(): void
}

/** The app behind nginx or Envoy: says what they say of the caller. */
export function startApp(): Promise<Listening> {
  return listen(
    createHttpServer((request, response) => {
      response.end(helloTo(request))
    }),
  )
}

function helloTo({ headers }: IncomingMessage): string {
  const header = headers['x-client-certificate'] ?? headers['x-forwarded-client-cert'] ?? ''
  const pem = /-----BEGIN.*END CERTIFICATE-----/s.exec(decodeURIComponent(header.toString()))
  if (pem === null) return 'hello nobody\n'
  const { subjectAltName = '', serialNumber } = new X509Certificate(pem[0])
  const id = /URI:([^,]+)/.exec(subjectAltName)?.[1] ?? ''
  return `hello ${id}, certificate ${serialNumber}\n`
}

/** A server with this certificate, for clients that should refuse it. */
export function startTlsServer(files: TlsFiles): Promise<Listening> {
  return listen(
    createHttpsServer({ key: files.key, cert: files.certificate }, (_request, response) => {
      response.end('hello client\n')
    }),
  )
}

/** On a free port of the loopback. */
export async function listen(server: Server): Promise<Listening> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close()
    },
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
  /** Serial number of the server's certificate. */
  readonly serial: string
}

/** One call on a connection of its own; `caller` undefined: with no certificate. */
export function callOnce(
  port: number,
  serverName: string,
  trustBundle: string,
  caller: TlsFiles | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: '127.0.0.1',
      port,
      servername: serverName,
      ca: trustBundle,
      ...(caller === undefined ? {} : { key: caller.key, cert: caller.certificate }),
      agent: false,
      timeout: 10_000,
    })
    call.on('timeout', () => call.destroy(new Error('no answer in time')))
    call.on('error', reject)
    call.on('response', (response) => {
      const serial =
        response.socket instanceof TLSSocket
          ? response.socket.getPeerCertificate().serialNumber
          : ''
      text(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, body, serial })
      }, reject)
    })
    call.end()
  })
}
