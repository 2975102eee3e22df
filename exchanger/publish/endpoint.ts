import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'
import { listen } from '../../shared/base/server.ts'
import { authorizer } from './authorizer.ts'

/**
 * Only the containers of one pod ask, a few times an hour, but then all their processes may at once. Each answer ends
 * its connection, so what is open has not been answered yet; the bounds keep memory below what the container has.
 */
const LIMITS = {
  connections: 1024,
  headerBytes: 8192,
  requestMs: 5000,
} as const

export interface EndpointOptions {
  /** ENDPOINT.port in a pod; 0 chooses a free one. */
  readonly port: number
  readonly authorization: string
  readonly current: () => CredentialDocument | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Called once many have asked at once and are gone: they leave megabytes of garbage. */
  readonly onRushOver: () => void
}

export interface Endpoint {
  readonly port: number
  /** Stops at once, with all connections. */
  close(): void
}

/**
 * The container credentials endpoint, on loopback only. It answers from memory.
 * Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
 *
 * @throws NocredsError `ERR_ENDPOINT_LISTEN` if the port is taken
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const isAuthorized = authorizer(options.authorization)
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.requestMs,
      requestTimeout: LIMITS.requestMs,
    },
    (request, response) => {
      send(response, answer(request, isAuthorized, options))
    },
  )
  server.timeout = LIMITS.requestMs // of silence; Node looks for the two above only now and then
  boundConnections(server, options.onRushOver)
  try {
    const port = await listen(server, options.port, ENDPOINT.host, LIMITS.connections)
    return {
      port,
      close() {
        server.close()
        server.closeAllConnections()
      },
    }
  } catch (error) {
    throw new NocredsError(
      'ERR_ENDPOINT_LISTEN',
      `the endpoint cannot listen on ${ENDPOINT.host}:${options.port}: ${codeOf(error) ?? 'unknown'}`,
      {
        cause: error,
        hint: 'A container of the pod may use that port: move it, or choose another nocreds.dev/delivery.',
      },
    )
  }
}

/** So many at once are a rush, which is over once so few are left. */
const RUSH = { from: 32, until: 4 } as const

/** Over the bound the oldest connection goes: a client that asks at once has been answered long before. */
function boundConnections(server: Server, onRushOver: () => void): void {
  const open = new Set<Socket>()
  let isRush = false
  const left = (socket: Socket): void => {
    open.delete(socket)
    if (!isRush || open.size > RUSH.until) return
    isRush = false
    onRushOver()
  }
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => {
      left(socket)
    })
    isRush ||= open.size >= RUSH.from
    if (open.size <= LIMITS.connections) return
    const [oldest = socket] = open
    open.delete(oldest)
    oldest.destroy()
  })
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** Decides in this order: path, method, authorization, then whether there is anything to give. */
function answer(
  request: IncomingMessage,
  isAuthorized: (header: string | undefined) => boolean,
  { current, now }: EndpointOptions,
): Answer {
  if (request.url !== ENDPOINT.path)
    return refused(404, 'NotFound', `only ${ENDPOINT.path} is here`)
  if (request.method !== 'GET') {
    const { status, body } = refused(405, 'MethodNotAllowed', 'only GET is allowed')
    return { status, body, headers: { allow: 'GET' } }
  }
  if (!isAuthorized(request.headers.authorization)) {
    return refused(401, 'Unauthorized', 'the Authorization header is missing or wrong')
  }
  const document = current()
  if (document === undefined || expirationOf(document) <= now()) {
    return refused(503, 'NoCredentials', 'there are no credentials now; see the log of the sidecar')
  }
  const { AccessKeyId, SecretAccessKey, SessionToken: Token, Expiration, AccountId } = document
  return { status: 200, body: { AccessKeyId, SecretAccessKey, Token, Expiration, AccountId } }
}

function refused(status: number, code: string, message: string): Answer {
  return { status, body: { code, message } }
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json', // Go's SDK compares by equality
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
    ...headers,
  })
  response.end(text)
}
