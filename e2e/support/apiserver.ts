import { Agent, request } from 'node:https'
import type { Kubectl } from './kubectl.ts'

/** Content types of a PATCH. Source: Kubernetes API concepts, "Patch". */
export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: unknown
  /** Default `application/json`. */
  readonly contentType?: string
  /** The client, by impersonation; default: the administrator. */
  readonly as?: { readonly user: string; readonly groups: readonly string[] } | undefined
}

export interface ApiAnswer {
  readonly status: number
  /** Of a Status object; empty for any other. */
  readonly message: string
  readonly body: unknown
}

/** One request to the apiserver; its refusals are answers, not errors. */
export type Apiserver = (asked: ApiRequest) => Promise<ApiAnswer>

interface Kubeconfig {
  readonly clusters: readonly [
    {
      readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string }
    },
  ]
  readonly users: readonly [
    {
      readonly user: {
        readonly 'client-certificate-data'?: string
        readonly 'client-key-data'?: string
        readonly token?: string
      }
    },
  ]
}

/** The apiserver by the client certificate or token of a kubeconfig such as kind writes: one cluster, one user. */
export async function apiserverOf(kubectl: Kubectl): Promise<Apiserver> {
  const raw = await kubectl(['config', 'view', '--raw', '--minify', '--output', 'json'])
  const { clusters, users } = JSON.parse(raw) as Kubeconfig
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster
  const { 'client-certificate-data': cert, 'client-key-data': key, token } = users[0].user
  const read = (base64 = ''): Buffer => Buffer.from(base64, 'base64')
  const proof = cert === undefined ? {} : { cert: read(cert), key: read(key) }
  const agent = new Agent({ ca: read(ca), ...proof, keepAlive: true })
  return (asked) => send({ agent, server, token }, asked)
}

interface Connection {
  readonly agent: Agent
  readonly server: string
  readonly token: string | undefined
}

function send({ agent, server, token }: Connection, asked: ApiRequest): Promise<ApiAnswer> {
  const { method, path, body, contentType = 'application/json', as } = asked
  const headers = {
    'content-type': contentType,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(as && { 'impersonate-user': as.user, 'impersonate-group': [...as.groups] }),
  }
  return new Promise((resolve, reject) => {
    const sent = request(server + path, { agent, method, headers, timeout: 30_000 }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      answer.on('error', reject).on('end', () => {
        resolve({ status: answer.statusCode ?? 0, ...parsed(text) })
      })
    })
    sent.on('error', reject).on('timeout', () => {
      sent.destroy(new Error(`${method} ${path}: no answer in 30 s`))
    })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Some refusals, such as those of connections, are plain text. */
function parsed(text: string): { message: string; body: unknown } {
  try {
    const body: unknown = JSON.parse(text)
    const { message } = body as { readonly message?: unknown }
    return { message: typeof message === 'string' ? message : '', body }
  } catch {
    return { message: text, body: undefined }
  }
}
