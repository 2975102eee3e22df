import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { codeOf, NocredsError } from '../../shared/base/errors.ts'
import { listen } from '../../shared/base/server.ts'
import { authorizer } from './authorizer.ts'

/**
 * Only the containers of one pod send requests, a few times an hour, but possibly all their processes at once. Each
 * response closes its connection, so open connections wait for a response; the limits keep memory below the
 * container's.
 */
const LIMITS = {
  connections: 1024,
  headerBytes: 8192,
  requestMs: 5000,
} as const

/** The credentials of one role, for those who send its authorization. */
export interface Served {
  readonly path: string
  readonly authorization: string
  readonly current: () => CredentialDocument | undefined
}

export interface EndpointOptions {
  /** ENDPOINT.port in a pod; 0 for any free port. */
  readonly port: number
  /** One entry for each role, each with a path and an authorization of its own. */
  readonly served: readonly Served[]
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Called after a burst of connections, which leaves megabytes of garbage. */
  readonly onBurstEnd: () => void
}

export interface Endpoint {
  readonly port: number
  /** Stops immediately and closes all connections. */
  close(): void
}

/**
 * The container credentials endpoint, on loopback only. It serves from memory.
 * Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
 *
 * @throws NocredsError `ERR_ENDPOINT_LISTEN` if the port is taken
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const places: Places = new Map(
    options.served.map(({ path, authorization, current }) => [
      path,
      { isAuthorized: authorizer(authorization), current },
    ]),
  )
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.requestMs,
      requestTimeout: LIMITS.requestMs,
    },
    (request, response) => {
      send(response, answer(request, places, options.now()))
    },
  )
  server.timeout = LIMITS.requestMs // without activity; Node checks the two above only occasionally
  limitConnections(server, options.onBurstEnd)
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

/** Open connections at which a burst begins and ends. */
const BURST = { from: 32, until: 4 } as const

/** Over the limit, the oldest connection is closed: a client that sends its request promptly was served long before. */
function limitConnections(server: Server, onBurstEnd: () => void): void {
  const open = new Set<Socket>()
  let isBurst = false
  const left = (socket: Socket): void => {
    open.delete(socket)
    if (!isBurst || open.size > BURST.until) return
    isBurst = false
    onBurstEnd()
  }
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => {
      left(socket)
    })
    isBurst ||= open.size >= BURST.from
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

/** By path. */
type Places = ReadonlyMap<
  string,
  {
    readonly isAuthorized: (header: string | undefined) => boolean
    readonly current: Served['current']
  }
>

/** Checks in this order: path, method, authorization of that path, then whether there are credentials. */
function answer(request: IncomingMessage, places: Places, nowMs: number): Answer {
  const place = places.get(request.url ?? '')
  if (place === undefined) {
    const paths = [...places.keys()].join(', ')
    return refused(404, 'NotFound', `only ${paths} ${places.size === 1 ? 'is' : 'are'} served`)
  }
  if (request.method !== 'GET') {
    const { status, body } = refused(405, 'MethodNotAllowed', 'only GET is allowed')
    return { status, body, headers: { allow: 'GET' } }
  }
  if (!place.isAuthorized(request.headers.authorization)) {
    return refused(401, 'Unauthorized', 'the Authorization header is missing or wrong')
  }
  const document = place.current()
  if (document === undefined || expirationOf(document) <= nowMs) {
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
    'content-type': 'application/json', // Go's SDK requires exactly this value
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
    ...headers,
  })
  response.end(text)
}
