/**
 * Test double: the part of an apiserver that the webhook talks to, over real HTTP on loopback.
 * Source: Kubernetes, "API concepts": lists in chunks, watches, bookmarks, metadata-only, 409, 410.
 * Never shipped.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { json, text } from 'node:stream/consumers'
import type { Operation } from 'rfc6902'
import {
  ApiserverRefusal,
  ApiserverStore,
  isIn,
  metadataOf,
  selected,
  statusObject,
  type Preconditions,
  type StoredObject,
} from './apiserver-store.ts'
import { ApiserverWatches } from './apiserver-watches.ts'
import { closeAtOnce, listenOnLoopback } from './loopback-server.ts'

/** What happens to a request instead of an answer; a number is an HTTP status. */
export type ApiserverFault = number | 'hang' | 'reset' | 'cut-body'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly accept: string
  readonly authorization: string | undefined
}

/** In PEM. */
interface ServerKey {
  readonly cert: string
  readonly key: string
}

/** The collections it knows; anything else is a 404, or an answer of `extra`. */
const OBJECT_PATH =
  /^(?:\/api\/v1\/namespaces\/[^/]+(?:\/(?:serviceaccounts|secrets|pods|configmaps)\/[^/]+)?|\/apis\/(?:admissionregistration\.k8s\.io\/v1\/(?:mutating|validating)webhookconfigurations|rbac\.authorization\.k8s\.io\/v1\/clusterroles|certificates\.k8s\.io\/v1\/(?:namespaces\/[^/]+\/podcertificaterequests|clustertrustbundles))\/[^/]+)$/
const COLLECTION_PATH =
  /^(?:\/api\/v1\/(?:namespaces|(?:namespaces\/[^/]+\/)?(?:serviceaccounts|secrets|pods|configmaps))|\/apis\/(?:admissionregistration\.k8s\.io\/v1\/(?:mutating|validating)webhookconfigurations|certificates\.k8s\.io\/v1\/(?:podcertificaterequests|clustertrustbundles)))$/

export class FakeApiserver {
  readonly store = new ApiserverStore()
  readonly watches = new ApiserverWatches(this.store)
  /** Everything that was asked, oldest first. */
  readonly requests: SeenRequest[] = []
  /** Decides on a fault for each request; undefined lets it through. */
  fault: (request: SeenRequest) => ApiserverFault | undefined = () => undefined
  /** Answers that no object stands behind, such as reviews of tokens, by `METHOD /path`. */
  readonly extra = new Map<string, (body: unknown) => object | Promise<object>>()
  /** Called before each regular answer, so that a test can act in between. */
  beforeAnswer: (request: SeenRequest) => void = () => undefined
  /** Called once an object was read, before it is sent: holds an answer back that grows old. */
  afterRead: (request: SeenRequest) => void | Promise<void> = () => undefined
  /** Called with each regular answer, which it must make: sees how many are under way at once. */
  around: (request: SeenRequest, answer: () => Promise<void>) => Promise<void> = (_, answer) =>
    answer()
  /** The rest of lists that were answered in part, by continue token. */
  readonly #pages = new Map<string, { readonly rest: StoredObject[]; readonly revision: number }>()
  #pageCount = 0
  #created = 0
  readonly #tls: ServerKey | undefined
  #server: Server | TlsServer = createServer()
  #port = 0

  /** Without a key it serves plain HTTP. */
  constructor(tls?: ServerKey) {
    this.#tls = tls
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`
  }

  /** Listens; after a `stop` on the same port as before, with everything it kept. */
  async start(): Promise<this> {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#handle(request, response)
    }
    this.#server =
      this.#tls === undefined ? createServer(handle) : createTlsServer(this.#tls, handle)
    this.#port = await listenOnLoopback(this.#server, this.#port)
    return this
  }

  /** Gone at once, with all connections, as by a lost node. */
  async stop(): Promise<void> {
    await closeAtOnce(this.#server)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.url)
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      accept: request.headers.accept ?? '',
      authorization: request.headers.authorization,
    }
    this.requests.push(seen)
    const fault = this.fault(seen)
    if (fault !== undefined) {
      suffer(fault, response)
      return
    }
    try {
      this.beforeAnswer(seen)
      await this.around(seen, () => this.#answer(seen, request, response))
    } catch (error) {
      if (!(error instanceof ApiserverRefusal)) throw error
      send(response, error.status, statusObject(error.status, error.reason, error.message))
    }
  }

  async #answer(
    seen: SeenRequest,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method, path, query } = seen
    const extra = this.extra.get(`${method} ${path}`)
    if (extra !== undefined) {
      send(response, 200, await extra(method === 'POST' ? await json(request) : undefined))
      return
    }
    const isMetadataOnly = seen.accept.includes('as=PartialObjectMetadata')
    if (COLLECTION_PATH.test(path) && method === 'GET') {
      if (query.get('watch') === 'true') {
        this.watches.open({ path, query, isMetadataOnly, response })
        return
      }
      send(response, 200, this.#list(path, query, isMetadataOnly))
      return
    }
    if (COLLECTION_PATH.test(path) && method === 'POST') {
      send(response, 201, this.#create(path, (await json(request)) as StoredObject))
      return
    }
    const objectPath = path.replace(/\/status$/, '')
    if (!OBJECT_PATH.test(objectPath)) {
      throw new ApiserverRefusal(
        404,
        'NotFound',
        'the server could not find the requested resource',
      )
    }
    if (method === 'GET') {
      const present = this.store.present(path)
      await this.afterRead(seen)
      send(response, 200, isMetadataOnly ? metadataOf(present) : present)
      return
    }
    if (method === 'DELETE') {
      const { preconditions } = (await bodyOf(request)) as { preconditions?: Preconditions }
      this.store.delete(path, preconditions)
      send(response, 200, { kind: 'Status', status: 'Success' })
      return
    }
    const written = { ...seen, path: objectPath }
    send(response, 200, this.#write(written, request.headers['content-type'], await json(request)))
  }

  #create(collection: string, object: StoredObject): StoredObject {
    const path = `${collection}/${object.metadata.name ?? ''}`
    if (this.store.get(path) !== undefined) {
      throw new ApiserverRefusal(409, 'AlreadyExists', `${path} already exists`)
    }
    this.#created += 1
    const { uid = `uid-of-object-${this.#created}`, ...given } = object.metadata
    const metadata = { ...given, uid }
    return this.store.write(path, { ...object, metadata })
  }

  #write({ method, path }: SeenRequest, type: string | undefined, body: unknown): StoredObject {
    if (method === 'PUT') return this.store.put(path, body as StoredObject)
    if (method === 'PATCH' && type === 'application/json-patch+json') {
      return this.store.patch(path, body as Operation[])
    }
    throw new ApiserverRefusal(415, 'UnsupportedMediaType', `${method} of ${type ?? 'nothing'}`)
  }

  #list(collection: string, query: URLSearchParams, isMetadataOnly: boolean): object {
    const token = query.get('continue')
    const limit = Number(query.get('limit') ?? Infinity)
    const page =
      token === null
        ? {
            rest: this.store.list(isIn(collection)).filter(selected(query)),
            revision: this.store.revision,
          }
        : this.#pages.get(token)
    if (page === undefined || page.revision < this.store.compactedTo) {
      throw new ApiserverRefusal(410, 'Expired', 'The provided continue parameter is too old')
    }
    const items = page.rest.slice(0, limit)
    const rest = page.rest.slice(limit)
    const next = `page-${(this.#pageCount += 1)}`
    if (rest.length > 0) this.#pages.set(next, { rest, revision: page.revision })
    return {
      kind: isMetadataOnly ? 'PartialObjectMetadataList' : 'List',
      apiVersion: isMetadataOnly ? 'meta.k8s.io/v1' : 'v1',
      metadata: {
        resourceVersion: String(page.revision),
        ...(rest.length > 0 ? { continue: next, remainingItemCount: rest.length } : {}),
      },
      items: isMetadataOnly ? metadataOfAll(items) : items,
    }
  }
}

/** The options of a deletion; none if the request has no body. */
async function bodyOf(request: IncomingMessage): Promise<object> {
  const said = await text(request)
  return said === '' ? {} : (JSON.parse(said) as object)
}

function suffer(fault: ApiserverFault, response: ServerResponse): void {
  if (fault === 'hang') return
  if (fault === 'reset') {
    response.destroy()
  } else if (fault === 'cut-body') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
    response.write('{"metadata":{', () => response.destroy())
  } else {
    send(response, fault, statusObject(fault, 'Fault', `answered with ${fault} on request`))
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

/** Null for none, as Kubernetes writes it. */
function metadataOfAll(items: readonly StoredObject[]): readonly object[] | null {
  return items.length === 0 ? null : items.map(metadataOf)
}
