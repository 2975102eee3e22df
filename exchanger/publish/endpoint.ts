import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { CredentialDocument } from '../../contract/credentials.ts'
import { ENDPOINT } from '../../contract/names.ts'
import { isAuthorized } from './authorization.ts'

export interface EndpointDeps {
  readonly authorization: string
  /** What is published now; undefined where nothing is. */
  readonly current: () => CredentialDocument | undefined
}

/**
 * The credentials endpoint of the pod, answered from memory. It must listen on loopback only: SDKs
 * speak plain http to no other address.
 *
 * Errors are JSON with `code` and `message`. "Not ready" is 503, which SDKs retry; a 4xx is not.
 * Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
 */
export function createEndpoint(deps: EndpointDeps): Server {
  const server = createServer({ maxHeaderSize: 8192 }, (request, response) => {
    respond(request, response, deps)
  })
  server.headersTimeout = 5000
  server.requestTimeout = 5000
  server.maxConnections = 256
  return server
}

function respond(request: IncomingMessage, response: ServerResponse, deps: EndpointDeps): void {
  if (request.url !== ENDPOINT.path) {
    refuse(response, 404, 'NotFound', `no such path; allowed: ${ENDPOINT.path}`)
  } else if (request.method !== 'GET') {
    response.setHeader('allow', 'GET')
    refuse(response, 405, 'MethodNotAllowed', 'allowed: GET')
  } else if (!isAuthorized(request.headers.authorization, deps.authorization)) {
    refuse(response, 401, 'Unauthorized', 'the Authorization header is missing or wrong')
  } else {
    const document = deps.current()
    if (document === undefined) {
      refuse(
        response,
        503,
        'CredentialsNotReady',
        'no credentials at the moment; see the log of nocreds-exchanger',
      )
    } else {
      send(response, 200, asContainerCredentials(document))
    }
  }
}

/** The same credentials under the names of the container credential provider. */
function asContainerCredentials(document: CredentialDocument): object {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration, AccountId } = document
  return { AccessKeyId, SecretAccessKey, Token: SessionToken, Expiration, AccountId }
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  send(response, status, { code, message })
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json', // exactly this: the Go SDK compares
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
