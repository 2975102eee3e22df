import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { codeOf, messageOf, UsageError } from '../../base/errors.ts'
import { readEvents, readText } from './bounded.ts'
import {
  AnswerTooLargeError,
  KubeError,
  type KubeClient,
  type KubeList,
  type KubeObject,
  type Query,
  type WatchEvent,
} from './kube-client.ts'

/** The only file that loads @kubernetes/client-node, which finds the cluster and its credentials. */

/** Shorter than the webhook's own deadline, so that a denial can still say why. */
const CALL_TIMEOUT_MS = 3000
const LIST_TIMEOUT_MS = 60_000
/** The apiserver sends a bookmark about once a minute; a watch without data for this long has failed. */
const WATCH_SILENCE_MS = 150_000

/** An object has at most 1.5 MiB in etcd and is larger as JSON; one over this limit was made so on purpose. */
const MAX_OBJECT_BYTES = 4 * 1024 * 1024
/** For an error response, which has a message of a few lines. */
const MAX_STATUS_BYTES = 65_536

/** Source: Kubernetes API concepts, "Metadata-only fetches". */
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'

/**
 * Finds the cluster: from KUBECONFIG, the kubeconfig in the home folder, or the pod's own ServiceAccount.
 *
 * @throws UsageError if there is none
 */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig()
  try {
    config.loadFromDefault()
  } catch (error) {
    // Further lines quote the file, which may hold a token.
    const [problem = ''] = messageOf(error).split('\n', 1)
    throw noCluster(`the kubeconfig cannot be read: ${problem}`)
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw noCluster('the kubeconfig has no current context')
  // If the library finds nothing, it returns http://localhost:8080 instead of an error.
  if (!cluster.server.startsWith('https://') && !cluster.skipTLSVerify) {
    throw noCluster(`the server is ${cluster.server}, which is not https`)
  }
  return config
}

function noCluster(why: string): UsageError {
  const allowed =
    "KUBECONFIG, ~/.kube/config, a pod's own ServiceAccount, or --objects without a cluster"
  return new UsageError(`no cluster: ${why}; allowed: ${allowed}`)
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query?: Query
  readonly accept?: string | undefined
  readonly contentType?: string
  readonly body?: unknown
  readonly timeoutMs?: number
  readonly maxBytes?: number | undefined
  readonly signal?: AbortSignal
}

export function createKubeClient(config: KubeConfig): KubeClient {
  const call = async <T>(options: Call): Promise<T> => {
    const response = await send(config, options)
    try {
      return JSON.parse(await readText(response, options.maxBytes ?? MAX_OBJECT_BYTES)) as T
    } catch (error) {
      if (error instanceof AnswerTooLargeError) throw error
      throw unreachable(error) // the response is incomplete
    }
  }
  const orUndefined = (error: unknown): undefined => {
    if (error instanceof KubeError && error.status === 404) return undefined
    throw error
  }
  const list = (of: Pick<Call, 'path' | 'query' | 'accept' | 'maxBytes'>): Promise<KubeList> =>
    call({ ...of, method: 'GET', timeoutMs: LIST_TIMEOUT_MS })
  const watch = (of: Watched, onEvent: (event: WatchEvent) => void): Promise<void> =>
    follow(config, of, onEvent)
  return {
    get: (path) => call<KubeObject>({ method: 'GET', path }).catch(orUndefined),
    getMetadata: (path) =>
      call<KubeObject>({ method: 'GET', path, accept: METADATA }).catch(orUndefined),
    list: (path, query, maxBytes) => list({ path, query, maxBytes }),
    listMetadata: (path, query, maxBytes) => list({ path, query, maxBytes, accept: METADATA_LIST }),
    watch: (path, query, onEvent, signal) => watch({ path, query, signal }, onEvent),
    watchMetadata: (path, query, onEvent, signal) =>
      watch({ path, query, signal, accept: METADATA }, onEvent),
    create: (path, object) =>
      call({ method: 'POST', path, body: object, contentType: 'application/json' }),
    async remove(path, preconditions) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions }
      await call({ method: 'DELETE', path, body }).catch(orUndefined)
    },
    replace: (path, object) =>
      call({ method: 'PUT', path, body: object, contentType: 'application/json' }),
    patch: (path, operations) =>
      call({ method: 'PATCH', path, body: operations, contentType: 'application/json-patch+json' }),
  }
}

type Watched = Pick<Call, 'path' | 'accept'> & {
  readonly query: Query
  readonly signal: AbortSignal
}

async function follow(
  config: KubeConfig,
  { query, signal, ...of }: Watched,
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  const response = await send(config, {
    ...of,
    method: 'GET',
    query: { ...query, watch: 'true', allowWatchBookmarks: 'true' },
    timeoutMs: WATCH_SILENCE_MS,
    signal,
  })
  try {
    await readEvents(response, MAX_OBJECT_BYTES, onEvent)
  } catch (error) {
    if (signal.aborted) return
    throw error instanceof AnswerTooLargeError ? error : unreachable(error)
  }
}

/** The response to a request that succeeded. @throws KubeError */
async function send(config: KubeConfig, call: Call): Promise<IncomingMessage> {
  const server = config.getCurrentCluster()?.server ?? ''
  const url = new URL(server.replace(/\/+$/, '') + call.path)
  for (const [key, value] of Object.entries(call.query ?? {})) url.searchParams.set(key, value)
  const options: RequestOptions = {
    method: call.method,
    headers: { accept: call.accept ?? 'application/json' },
  }
  if (call.signal !== undefined) options.signal = call.signal
  try {
    await config.applyToHTTPSOptions(options)
  } catch (error) {
    throw unreachable(error)
  }
  options.agent = keepingConnections(options.agent)
  const response = await roundTrip(url, options, call)
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) return response
  const text = await readText(response, MAX_STATUS_BYTES).catch(() => '')
  throw new KubeError(status, `${call.method} ${call.path}: ${status} ${reasonOf(text)}`)
}

/** Keyed by the library's agent, which is created once for each cluster and user. */
const KEEPING = new WeakMap<Agent, Agent>()

/**
 * The library's agent opens a connection for each call; this one keeps connections, with the same CAs and credentials.
 * An agent for a proxy is used unchanged.
 */
function keepingConnections(agent: RequestOptions['agent']): RequestOptions['agent'] {
  if (!(agent instanceof Agent) || agent.constructor !== Agent) return agent
  let keeping = KEEPING.get(agent)
  if (keeping === undefined) {
    keeping = new Agent({ ...agent.options, keepAlive: true })
    KEEPING.set(agent, keeping)
  }
  return keeping
}

function roundTrip(url: URL, options: RequestOptions, call: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'http:' ? httpRequest : httpsRequest
    const outgoing = request(url, options, resolve)
    outgoing.setTimeout(call.timeoutMs ?? CALL_TIMEOUT_MS, () => {
      outgoing.destroy(new Error('no response in time'))
    })
    outgoing.on('error', (error) => {
      // The apiserver may close a kept connection while it is used again, which is not an error.
      const isStale = outgoing.reusedSocket && codeOf(error) === 'ECONNRESET'
      if (isStale && call.method === 'GET') resolve(roundTrip(url, options, call))
      else reject(unreachable(error))
    })
    if (call.body === undefined) {
      outgoing.end()
      return
    }
    const body = Buffer.from(JSON.stringify(call.body))
    outgoing.setHeader('content-type', call.contentType ?? 'application/json')
    outgoing.setHeader('content-length', body.length) // for DELETE, Node would not send it
    outgoing.end(body)
  })
}

function unreachable(error: unknown): KubeError {
  return new KubeError(
    0,
    `the apiserver cannot be reached: ${codeOf(error) ?? messageOf(error)}`,
    error,
  )
}

/** The `message` of a Status object in an error response of the apiserver. */
function reasonOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message.slice(0, 300) : ''
  } catch {
    return ''
  }
}
