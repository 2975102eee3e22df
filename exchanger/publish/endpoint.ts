import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { codeOf, NocredsError } from '../../platform/errors.ts'
import { listen } from '../../platform/server.ts'
import { authorizer } from './authorizer.ts'

/** Only the containers of one pod ask, a few times an hour; the bounds keep memory small. */
const LIMITS = {
  connections: 64,
  headerBytes: 8192,
  requestMs: 5000,
  keepAliveMs: 5000,
} as const

export interface EndpointOptions {
  /** ENDPOINT.port in a pod; 0 chooses a free one. */
  readonly port: number
  readonly authorization: string
  readonly current: () => CredentialDocument | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface Endpoint {
  readonly port: number
  /** Stops at once, with all connections. */
  close(): void
}

class EndpointError extends NocredsError<'ERR_ENDPOINT_LISTEN'> {}

/**
 * The container credentials endpoint, on loopback only. It answers from memory.
 * Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
 *
 * @throws EndpointError where the port is taken
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const isAuthorized = authorizer(options.authorization)
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.requestMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
    },
    (request, response) => {
      send(response, answer(request, isAuthorized, options))
    },
  )
  server.maxConnections = LIMITS.connections
  try {
    const port = await listen(server, options.port, ENDPOINT.host)
    return {
      port,
      close() {
        server.close()
        server.closeAllConnections()
      },
    }
  } catch (error) {
    throw new EndpointError(
      'ERR_ENDPOINT_LISTEN',
      `the endpoint cannot listen on ${ENDPOINT.host}:${options.port}: ${codeOf(error) ?? 'unknown'}`,
      {
        cause: error,
        hint: 'A container of the pod may use that port: move it, or choose another nocreds.dev/delivery.',
      },
    )
  }
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
    ...headers,
  })
  response.end(text)
}
