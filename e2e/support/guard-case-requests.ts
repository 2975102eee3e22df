import { expect } from '@jest/globals'
import { realClock, sleep } from '../../shared/base/clock.ts'
import type { ApiAnswer, Apiserver } from './apiserver.ts'
import { changed, objectOf, type Data, type GuardCase, type Impersonated } from './guard-cases.ts'
import type { KubernetesObject } from './kubernetes-object.ts'

/** How long settings, Namespaces and policies take to reach the policies inside the apiserver, at most. */
export const TAKES_EFFECT_MS = 1000
const PATCH = 'application/json-patch+json'
const APPLY = 'application/apply-patch+yaml'
export const MERGE = 'application/merge-patch+json'
const INJECTION = 'nocreds.dev/injection'
const NODE = 'node-1'

const CORE = '/api/v1'
const CERTIFICATES = '/apis/certificates.k8s.io/v1'
const STORAGE = '/apis/storage.k8s.io/v1'
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1'
/** Where the objects of each kind are. */
const KINDS: Readonly<Record<string, { group: string; plural: string; isNamespaced: boolean }>> = {
  Pod: { group: CORE, plural: 'pods', isNamespaced: true },
  ServiceAccount: { group: CORE, plural: 'serviceaccounts', isNamespaced: true },
  ConfigMap: { group: CORE, plural: 'configmaps', isNamespaced: true },
  Binding: { group: CORE, plural: 'bindings', isNamespaced: true },
  Namespace: { group: CORE, plural: 'namespaces', isNamespaced: false },
  PersistentVolume: { group: CORE, plural: 'persistentvolumes', isNamespaced: false },
  CSIDriver: { group: STORAGE, plural: 'csidrivers', isNamespaced: false },
  PodCertificateRequest: {
    group: CERTIFICATES,
    plural: 'podcertificaterequests',
    isNamespaced: true,
  },
  ClusterTrustBundle: { group: CERTIFICATES, plural: 'clustertrustbundles', isNamespaced: false },
  MutatingWebhookConfiguration: {
    group: REGISTRATION,
    plural: 'mutatingwebhookconfigurations',
    isNamespaced: false,
  },
  ValidatingWebhookConfiguration: {
    group: REGISTRATION,
    plural: 'validatingwebhookconfigurations',
    isNamespaced: false,
  },
}

/** What the cases run in. */
export interface CaseHarness {
  readonly api: Apiserver
  /** Makes these the settings that the guard goes by; returns once they are. */
  readonly use: (settings: Data) => Promise<void>
  readonly baseSettings: Data
}

function namespaceOf({ namespace = 'team-a' }: GuardCase): string {
  return namespace
}

/** The list of a kind's objects. @throws Error for a kind that no case may have */
function listOf(kind: string, namespace: string): string {
  const known = KINDS[kind]
  if (known === undefined)
    throw new Error(`kind ${kind}; allowed: TokenRequest, ${Object.keys(KINDS).join(', ')}`)
  const { group, plural, isNamespaced } = known
  return isNamespaced ? `${group}/namespaces/${namespace}/${plural}` : `${group}/${plural}`
}

function metadataOf({ body }: ApiAnswer): { readonly name?: string; readonly uid?: string } {
  return (body as { readonly metadata?: object } | undefined)?.metadata ?? {}
}

/** Sends what the case says; what it created is gone afterwards. */
export async function answerTo(one: GuardCase, harness: CaseHarness): Promise<ApiAnswer> {
  const body = objectOf(one)
  if (one.pod !== undefined || body.kind === 'TokenRequest')
    return withPod(one, harness, (pod) => aboutPod(one, harness, pod))
  const list = listOf(body.kind, namespaceOf(one))
  if (one.exists === true)
    return change(one, harness, { path: `${list}/${body.metadata.name ?? ''}`, body })
  return aboutOwnObject(one, harness, { list, body })
}

/** Whether there is nothing before and nothing after. */
function isAboutCreation(one: GuardCase): boolean {
  const later = [one.createdBy, one.update, one.container, one.delete]
  return later.every((field) => field === undefined)
}

/** Creates the object, which may be all that the case is about, or does to it what the case says. */
async function aboutOwnObject(
  one: GuardCase,
  harness: CaseHarness,
  { list, body }: { readonly list: string; readonly body: KubernetesObject },
): Promise<ApiAnswer> {
  const { api } = harness
  const isCreation = isAboutCreation(one)
  if (isCreation && one.apply === true)
    return change(one, harness, { path: `${list}/${body.metadata.name ?? ''}`, body })
  // What all workloads could come to trust is never really there.
  const dry = body.kind === 'ClusterTrustBundle' ? '?dryRun=All' : ''
  const as = isCreation ? one.as : one.createdBy
  const created = await api({ method: 'POST', path: list + dry, body, as })
  const path = `${list}/${metadataOf(created).name ?? body.metadata.name ?? ''}`
  try {
    if (isCreation) return created
    // The authority of the cluster may have written its own meanwhile.
    expect([201, 409]).toContain(created.status)
    await happenBetween(one, harness)
    return await change(one, harness, { path, body })
  } finally {
    if (created.status === 201 && dry === '') await remove(one, harness, { path, as })
  }
}

/** As the user who created it, because for some objects no one else may; no finalizer may block its namespace. */
async function remove(
  { between }: GuardCase,
  { api }: CaseHarness,
  { path, as }: { readonly path: string; readonly as: Impersonated | undefined },
): Promise<void> {
  if (between?.ending === true) {
    const body = { metadata: { finalizers: null } }
    await api({ method: 'PATCH', path, body, contentType: MERGE })
  } else await api({ method: 'DELETE', path: `${path}?gracePeriodSeconds=0`, as })
}

/** Settings and Namespace change between creation and what follows. */
async function happenBetween(
  one: GuardCase,
  { api, use, baseSettings }: CaseHarness,
): Promise<void> {
  const { settings, permittedRoles, isEnabled, ending } = one.between ?? {}
  const path = `${CORE}/namespaces/${namespaceOf(one)}`
  if (settings) await use({ ...baseSettings, ...settings })
  // Without the annotation: else the webhook would set the label again.
  const roles = isEnabled === false ? null : permittedRoles
  const annotations = roles !== undefined && { 'nocreds.dev/permitted-roles': roles }
  const labels = isEnabled === false && { [INJECTION]: null }
  if (annotations || labels) {
    const metadata = { ...(annotations && { annotations }), ...(labels && { labels }) }
    const body = { metadata }
    const { status } = await api({ method: 'PATCH', path, body, contentType: MERGE })
    expect(status).toBe(200)
  }
  if (ending === true) expect(await api({ method: 'DELETE', path })).toMatchObject({ status: 200 })
  if (one.between !== undefined) await sleep(realClock, TAKES_EFFECT_MS)
}

interface Target {
  readonly path: string
  readonly body: KubernetesObject
}

/** Does to an object that is there what the case says. */
async function change(one: GuardCase, { api }: CaseHarness, target: Target): Promise<ApiAnswer> {
  const { as, container, subresource } = one
  const { body } = target
  const path = subresource === undefined ? target.path : `${target.path}/${subresource}`
  const at = (...parameters: string[]): string => {
    const all = one.exists === true ? ['dryRun=All', ...parameters] : parameters
    return all.length === 0 ? path : `${path}?${all.join('&')}`
  }
  if (container !== undefined) {
    const named = container === '' ? [] : [`container=${container}`]
    return api({ method: 'POST', path: at(...named, 'command=id', 'stdout=true'), as })
  }
  if (one.delete === 'all') {
    const list = path.slice(0, path.lastIndexOf('/'))
    const selected = `${list}?fieldSelector=metadata.name%3D${body.metadata.name ?? ''}`
    return api({ method: 'DELETE', path: selected, as })
  }
  if (one.delete === 'one') return api({ method: 'DELETE', path: at(), as })
  const { update = [] } = one
  if (one.apply === true) {
    const query = at('fieldManager=case', 'force=true')
    return api({
      method: 'PATCH',
      path: query,
      body: changed(body, update),
      contentType: APPLY,
      as,
    })
  }
  if (subresource !== 'finalize')
    return api({ method: 'PATCH', path: at(), body: update, contentType: PATCH, as })
  const present = await api({ method: 'GET', path: target.path })
  return api({
    method: 'PUT',
    path: at(),
    body: changed(present.body as KubernetesObject, update),
    as,
  })
}

/** With the pod that the case wants to be there, if any; a token is for one on a node. */
async function withPod(
  one: GuardCase,
  { api }: CaseHarness,
  action: (pod: ApiAnswer | undefined) => Promise<ApiAnswer>,
): Promise<ApiAnswer> {
  if (one.pod === undefined) return action(undefined)
  const list = listOf('Pod', namespaceOf(one))
  const body = objectOf({ from: one.pod })
  if (objectOf(one).kind === 'TokenRequest') body.spec = { ...body.spec, nodeName: NODE }
  const pod = await api({ method: 'POST', path: list, body })
  expect(pod).toMatchObject({ status: 201 })
  // A kubelet is asked for its pod by what the apiserver remembers.
  if (one.as?.user.startsWith('system:node:') === true) await sleep(realClock, TAKES_EFFECT_MS)
  try {
    return await action(pod)
  } finally {
    await api({ method: 'DELETE', path: `${list}/case?gracePeriodSeconds=0` })
  }
}

/** A token for a ServiceAccount, bound to the pod if there is one; or a Binding of the pod. */
function aboutPod(
  one: GuardCase,
  { api }: CaseHarness,
  pod: ApiAnswer | undefined,
): Promise<ApiAnswer> {
  const body = objectOf(one)
  const as: Impersonated | undefined = one.as
  const namespace = namespaceOf(one)
  if (body.kind !== 'TokenRequest') {
    const list = one.subresource === undefined ? listOf(body.kind, namespace) : undefined
    const path = list ?? `${listOf('Pod', namespace)}/case/${one.subresource ?? ''}`
    return api({ method: 'POST', path, body, as })
  }
  const { name, uid } = pod === undefined ? {} : metadataOf(pod)
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid }
  const spec = { ...body.spec, ...(pod !== undefined && { boundObjectRef }) }
  const path = `${listOf('ServiceAccount', namespace)}/${body.metadata.name ?? ''}/token`
  return api({ method: 'POST', path, body: { ...body, spec }, as })
}
