/** Requests of attackers, and who stopped them. */
import { expect } from '@jest/globals'
import { applyPatch, type Operation } from 'rfc6902'
import type { ApiAnswer } from './apiserver.ts'
import { annotated, DEV, UNSEEN, type Ground, type Place, type User } from './attackers.ts'
import { objectOf, type Data } from './guard-cases.ts'
import { waitFor } from './wait.ts'

/** One request of an attacker. */
export interface AttackRequest {
  /** Default: {@link DEV}. */
  readonly as?: User
  /** Default: POST; PATCH if `type` is given. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Default: v1. */
  readonly api?: string
  readonly place: Place
  /** Such as `pods` or `pods/app/exec?command=id`. */
  readonly resource: string
  readonly body?: unknown
  /** Of a patch. */
  readonly type?: 'json' | 'merge' | 'strategic-merge' | 'apply'
  /** True: what is admitted is kept. Default: a dry run, which admission sees in the same way. */
  readonly isReal?: boolean
}

/** Sends it and returns the answer of the apiserver. */
export function send(ground: Ground, request: AttackRequest): Promise<ApiAnswer> {
  const { as = DEV, api = 'v1', place, type, body } = request
  const root = api === 'v1' ? '/api/v1' : `/apis/${api}`
  const [resource = '', query] = request.resource.split('?')
  const queries = [
    query,
    request.isReal === true ? undefined : 'dryRun=All',
    type === 'apply' ? 'fieldManager=attacker&force=true' : undefined,
  ].filter((part) => part !== undefined)
  return ground.api({
    method: request.method ?? (type === undefined ? 'POST' : 'PATCH'),
    path: `${root}/namespaces/${ground.ns(place)}/${resource}?${queries.join('&')}`,
    body,
    as,
    ...(type && { contentType: `application/${type}-patch+${type === 'apply' ? 'yaml' : 'json'}` }),
  })
}

const STOPPED_BY =
  /ValidatingAdmissionPolicy '([^']+)'|admission webhook "([^"]+)" denied the request/
const NO_RIGHT = /User "[^"]+" cannot /

/** The policy or webhook that a refusal names; `RBAC` for a right that is missing; else ''. */
export function stopperOf({ message }: ApiAnswer): string {
  const [, policy, webhook] = STOPPED_BY.exec(message) ?? []
  return policy ?? webhook ?? (NO_RIGHT.test(message) ? 'RBAC' : '')
}

/** @param says part of what the refusal says */
export function expectStopped(answer: ApiAnswer, by: string, says: string): void {
  const { status, message } = answer
  expect({ by: stopperOf(answer), status, message }).toEqual({
    by,
    status: 403,
    message: expect.stringContaining(says),
  })
}

export function expectAdmitted({ status, message }: ApiAnswer): void {
  expect({ message, isAdmitted: status === 200 || status === 201 }).toEqual({
    message: '',
    isAdmitted: true,
  })
}

/** Such a pod is of a scheduler that does not exist, so it never starts even if it is kept. */
export interface AttackPod {
  readonly apiVersion: 'v1'
  readonly kind: 'Pod'
  readonly metadata: Readonly<Record<string, unknown>>
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly initContainers?: readonly {
      readonly name: string
      readonly env?: readonly { readonly name: string }[]
    }[]
    readonly volumes?: readonly { readonly name: string }[]
  }
}

/** @param annotations of nocreds, without their prefix */
export function podOf(
  spec: Readonly<Record<string, unknown>> = {},
  annotations: Readonly<Record<string, string>> = {},
): AttackPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'case', annotations: annotated(annotations) },
    spec: {
      serviceAccountName: 'victim',
      schedulerName: 'none',
      containers: [{ name: 'app', image: 'example/app:1' }],
      ...spec,
    },
  }
}

/** The pod as the webhook writes it, as anyone who may create pods learns it: from a dry run. */
export async function injectedPod(
  ground: Ground,
  place: Place,
  annotations: Readonly<Record<string, string>>,
): Promise<AttackPod> {
  const answer = await send(ground, { place, resource: 'pods', body: podOf({}, annotations) })
  expectAdmitted(answer)
  const { metadata, spec } = answer.body as AttackPod
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'case', annotations: metadata['annotations'] },
    spec,
  }
}

/** A pod of `unseen` as the webhook writes it with a certificate, if the source is the authority. */
export async function goldenPod(
  ground: Ground,
  from: 'certificate' | 'certificate-and-role',
): Promise<AttackPod> {
  const settings = ['configmap', 'nocreds-settings', '--namespace', 'nocreds-system']
  const { data } = await ground.kubectl.get<{ readonly data: Data }>(settings)
  const stsEndpoint = { name: 'NOCREDS_STS_ENDPOINT', value: data['stsEndpoint'] ?? '' }
  const golden = objectOf({ name: '', from, verdict: 'allowed' })
  const text = JSON.stringify(golden)
    .replaceAll('"value":"team-a"', JSON.stringify({ value: ground.ns('unseen') }).slice(1, -1))
    .replaceAll(/"arn:aws:iam::[^"]*"/g, JSON.stringify(ground.role))
    .replaceAll('"value":"app"', '"value":"victim"')
    .replaceAll('"serviceAccountName":"app"', '"serviceAccountName":"victim"')
  const pod = JSON.parse(text) as AttackPod
  const isSts = from === 'certificate-and-role' && stsEndpoint.value !== ''
  const path = '/spec/initContainers/0/env/-'
  return changed(pod, isSts ? [{ op: 'add', path, value: stsEndpoint }] : [])
}

/** A pod with a change, as JSON patch. */
export function changed(pod: AttackPod, operations: readonly Operation[]): AttackPod {
  // Unlike structuredClone, it makes arrays of Jest's realm, as which alone rfc6902 knows arrays.
  const copy = JSON.parse(JSON.stringify(pod)) as AttackPod
  const own = JSON.parse(JSON.stringify(operations)) as Operation[]
  for (const failed of applyPatch(copy, own)) if (failed !== null) throw failed
  return copy
}

const SELECTOR = '/webhooks/0/namespaceSelector/matchExpressions'

/**
 * Takes the Namespace `unseen` away from the webhook for pods.
 *
 * @returns a function that restores it
 */
export async function hideFromWebhook(ground: Ground): Promise<() => Promise<void>> {
  const configuration = ['mutatingwebhookconfiguration', 'nocreds']
  const patch = async (...operations: readonly object[]): Promise<void> => {
    const how = ['--type=json', '--patch', JSON.stringify(operations)]
    await ground.kubectl(['patch', ...configuration, ...how])
  }
  const hidden = { key: UNSEEN, operator: 'NotIn', values: [ground.prefix] }
  await patch({ op: 'add', path: `${SELECTOR}/-`, value: hidden })
  // An unknown annotation is what the webhook alone refuses.
  const body = podOf({}, { unknown: '' })
  await waitFor('the webhook to see no pod of unseen', 30_000, async () => {
    const { status } = await send(ground, { place: 'unseen', resource: 'pods', body })
    return status === 201 ? true : undefined
  })
  // Another file may add or remove its own meanwhile: then the test operation fails.
  const giveBack = async (): Promise<true> => {
    const { webhooks } = await ground.kubectl.get<Configuration>(configuration)
    const value = webhooks[0].namespaceSelector.matchExpressions
    const at = value.findIndex(({ values }) => values[0] === ground.prefix)
    if (at === -1) return true // nocreds was installed again meanwhile
    const path = `${SELECTOR}/${at}`
    await patch({ op: 'test', path, value: hidden }, { op: 'remove', path })
    return true
  }
  return async () => {
    await waitFor('the webhook to see all pods again', 30_000, giveBack)
  }
}

interface Configuration {
  readonly webhooks: readonly [
    {
      readonly namespaceSelector: {
        readonly matchExpressions: readonly { readonly values: readonly string[] }[]
      }
    },
  ]
}
