/** The requests whose cost is measured: those of every pod, in an enabled namespace and in another. */
import { realClock } from '../../shared/base/clock.ts'
import { median, quantile } from '../../tools/bench/statistics.ts'
import type { Apiserver, ApiAnswer } from '../support/apiserver.ts'
import { objectOf } from '../support/guard-cases.ts'
import { waitFor } from '../support/wait.ts'
import { create, createTeam, pod } from './objects.ts'

/** Namespace of the pods as the webhook writes them in the golden files. */
const ENABLED = 'team-a'
const PLAIN = 'plain'
const NODE = 'node'
const KUBELET = { user: `system:node:${NODE}`, groups: ['system:nodes', 'system:authenticated'] }
const MERGE = 'application/strategic-merge-patch+json'

interface Named {
  readonly metadata: { readonly name: string; readonly uid: string }
}

/** One kind of request. */
export interface CostRequest {
  readonly name: string
  /** Gives how long the answer took, in milliseconds; `count` makes it another request than the last. */
  send(count: number): Promise<number>
}

/** Makes the namespaces; nocreds must be there. */
export async function createNamespaces(api: Apiserver): Promise<void> {
  await createTeam(api, ENABLED, 'arn:aws:iam::111122223333:role/team-a/app')
  await create(api, '/api/v1/namespaces', namespaceOf(PLAIN))
  await create(api, `/api/v1/namespaces/${PLAIN}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'app' },
  })
  await create(api, '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE },
  })
}

const namespaceOf = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name },
})

/** The requests, on a cluster that `createNamespaces` has prepared. */
export async function costRequests(api: Apiserver): Promise<readonly CostRequest[]> {
  const injected = objectOf({ name: '', from: 'process', verdict: 'allowed' })
  const plain = pod('app')
  return [
    ...(await requestsIn(api, 'enabled namespace, injected pod', ENABLED, injected)),
    ...(await requestsIn(api, 'other namespace, pod without nocreds', PLAIN, plain)),
  ]
}

async function requestsIn(
  api: Apiserver,
  where: string,
  namespace: string,
  body: object,
): Promise<readonly CostRequest[]> {
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const generated = { ...body, metadata: { ...withoutName(body), generateName: 'cost-' } }
  const { metadata } = (await create(api, pods, generated)) as Named
  await bind(api, `${pods}/${metadata.name}`)
  const patchStatus = (count: number): Promise<ApiAnswer> =>
    api({
      method: 'PATCH',
      path: `${pods}/${metadata.name}/status`,
      body: { status: { message: `status ${count}` } },
      contentType: MERGE,
      as: KUBELET,
    })
  // The node authorizer hears of the binding a moment later.
  await waitFor('the kubelet to be let in', 30_000, async () =>
    (await patchStatus(0)).status === 200 ? true : undefined,
  )
  const token = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: namespace === ENABLED ? ['sts.amazonaws.com'] : [],
      boundObjectRef: {
        apiVersion: 'v1',
        kind: 'Pod',
        name: metadata.name,
        uid: metadata.uid,
      },
    },
  }
  const post = (path: string, sent: object, as?: typeof KUBELET): Promise<ApiAnswer> =>
    api({ method: 'POST', path, body: sent, as })
  const serviceAccount = `/api/v1/namespaces/${namespace}/serviceaccounts/app/token`
  return [
    timed(`${where}: create, dry run`, () => post(`${pods}?dryRun=All`, generated)),
    timed(
      `${where}: create`,
      () => post(pods, generated),
      async (answer) => {
        const path = `${pods}/${(answer.body as Named).metadata.name}?gracePeriodSeconds=0`
        await api({ method: 'DELETE', path })
      },
    ),
    timed(`${where}: status, by its kubelet`, patchStatus),
    timed(`${where}: token, for its kubelet`, () => post(serviceAccount, token, KUBELET)),
  ]
}

function withoutName(body: object): object {
  const { metadata } = body as { readonly metadata: Readonly<Record<string, unknown>> }
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== 'name'))
}

async function bind(api: Apiserver, path: string): Promise<void> {
  await create(api, `${path}/binding`, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: path.split('/').at(-1) },
    target: { apiVersion: 'v1', kind: 'Node', name: NODE },
  })
}

/** @param after is not part of the time */
function timed(
  name: string,
  ask: (count: number) => Promise<ApiAnswer>,
  after: (answer: ApiAnswer) => Promise<void> = () => Promise.resolve(),
): CostRequest {
  return {
    name,
    async send(count) {
      const startedMs = realClock.monotonic()
      const answer = await ask(count)
      const tookMs = realClock.monotonic() - startedMs
      if (answer.status >= 300) throw new Error(`${name}: ${answer.status} ${answer.message}`)
      await after(answer)
      return tookMs
    },
  }
}

/** What one kind of request took. */
export interface Cost {
  readonly tookMs: readonly number[]
  /** Processor time of the apiserver for all of them. */
  readonly cpuMs: number
}

/** A row of the page: medians with p95, and processor time for each request. */
export function costRow(name: string, without: Cost, withGuard: Cost): string {
  const times = ({ tookMs }: Cost): string =>
    `${median(tookMs).toFixed(1)} (${quantile(tookMs, 0.95).toFixed(1)})`
  const more = median(withGuard.tookMs) - median(without.tookMs)
  const cpu = ({ tookMs, cpuMs }: Cost): string => (cpuMs / tookMs.length).toFixed(1)
  const cells = [
    name,
    times(without),
    times(withGuard),
    more.toFixed(1).replace('-0.0', '0.0'),
    cpu(without),
    cpu(withGuard),
  ]
  return `| ${cells.join(' | ')} |`
}
