/** The apiserver's part: sends a Pod's review over TLS, and applies the patch that comes back. */
import { randomUUID } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { applyPatch, type Operation } from 'rfc6902'
import type { Webhook } from './environment.ts'
import type { Pod } from './pod.ts'

export type Admission =
  | { readonly allowed: true; readonly pod: Pod }
  | { readonly allowed: false; readonly message: string }

interface Review {
  readonly response: {
    readonly uid: string
    readonly allowed: boolean
    readonly patch?: string
    readonly status?: { readonly message?: string }
  }
}

/** Source: Kubernetes, "Dynamic Admission Control". */
export async function admit(webhook: Webhook, pod: Pod): Promise<Admission> {
  const uid = randomUUID()
  const { response } = await post(webhook, {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      name: pod.metadata.name,
      namespace: pod.metadata.namespace,
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      object: pod,
      oldObject: null,
      dryRun: false,
    },
  })
  if (response.uid !== uid) throw new Error('the webhook answered to another review')
  if (!response.allowed) return { allowed: false, message: response.status?.message ?? '' }
  const admitted = structuredClone(pod)
  const patch = JSON.parse(
    Buffer.from(response.patch ?? 'W10=', 'base64').toString(),
  ) as Operation[]
  const failed = applyPatch(admitted, patch).find((error) => error !== null)
  if (failed !== undefined) throw failed
  return { allowed: true, pod: admitted }
}

function post(webhook: Webhook, body: object): Promise<Review> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      ca: webhook.caPem,
      headers: { 'content-type': 'application/json' },
    }
    const outgoing = request(webhook.url, options, (response) => {
      text(response).then((answer) => {
        if (response.statusCode === 200) resolve(JSON.parse(answer) as Review)
        else reject(new Error(`the webhook answered ${String(response.statusCode)}: ${answer}`))
      }, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify(body))
  })
}
