import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyPatch, type Operation } from 'rfc6902'
import { parse, parseAllDocuments } from 'yaml'
import type { Delivery } from '../../contract/delivery.ts'
import { REPOSITORY } from '../versions.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import { largest, largestOfDriver, OF_CONTAINERS } from './largest-pod.ts'

const CASES = join(REPOSITORY, 'manifests', 'guard', 'cases')
const GOLDENS = join(REPOSITORY, 'webhook', 'admit', 'testdata')
/** Of each delivery alone. */
const GOLDEN_OF_DELIVERY: Readonly<Record<Delivery, string>> = {
  process: 'plain',
  endpoint: 'endpoint',
  'web-identity': 'web-identity',
}
/** Files of the pods as the webhook writes them, by the name that cases use. */
const GOLDEN = {
  ...GOLDEN_OF_DELIVERY,
  certificate: 'certificate',
  'certificate-and-role': 'certificate-and-role',
  'certificate-and-web-identity': 'certificate-and-web-identity',
  'certificate-by-kubelet': 'certificate-by-kubelet',
  'certificate-dns-names': 'certificate-dns-names',
  'certificate-dns-names-by-kubelet': 'certificate-dns-names-by-kubelet',
  largest: 'certificate-and-role',
  driver: 'driver',
  'driver-certificate': 'driver-certificate',
  'driver-certificate-and-role': 'driver-certificate-and-role',
  'largest-driver': 'driver-certificate-and-role',
  'target-role': 'target-role',
  'target-role-alone': 'target-role-alone',
  'target-role-of-a-cluster': 'target-role-of-a-cluster',
  'target-role-without-default-tags': 'target-role-without-default-tags',
  'session-policy-of-one-role': 'session-policy-of-one-role',
  'container-roles': 'container-roles',
  'container-roles-alone': 'container-roles-alone',
  'container-roles-of-one': 'container-roles-of-one',
  'container-roles-endpoint': 'container-roles-endpoint',
  'container-roles-eight': 'container-roles-eight',
  'container-roles-by-driver': 'container-roles-by-driver',
  'largest-of-containers': 'container-roles-eight',
  'largest-driver-of-containers': 'container-roles-eight-by-driver',
  'driver-target-role': 'driver-target-role',
  'driver-target-role-without-default-tags': 'driver-target-role-without-default-tags',
} as const

type Golden = keyof typeof GOLDEN
export type Data = Readonly<Record<string, string>>

/** User and groups of a request, by impersonation. */
export interface Impersonated {
  readonly user: string
  readonly groups: readonly string[]
}

/** One case of manifests/guard/cases; README.md there says what each field means. */
export interface GuardCase {
  readonly name: string
  readonly from: Golden | KubernetesObject
  readonly change?: readonly Operation[]
  readonly namespace?: string
  readonly settings?: Data
  readonly needs?: string
  readonly as?: Impersonated
  readonly createdBy?: Impersonated
  readonly exists?: boolean
  readonly apply?: boolean
  readonly subresource?: string
  readonly pod?: Golden
  readonly container?: string
  readonly update?: readonly Operation[]
  readonly delete?: 'one' | 'all'
  readonly between?: {
    readonly permittedRoles?: string
    readonly settings?: Data
    readonly isEnabled?: false
    readonly ending?: true
  }
  readonly verdict: 'allowed' | 'denied'
  readonly message?: string
}

/** Files of cases; each is about the policy `nocreds-<file>`. */
export const CASE_FILES = [
  'service-accounts',
  'namespaces',
  'reserved-names',
  'pods',
  'exchangers',
  'former-pods',
  'sessions',
  'driver-volumes',
  'driver-persistent-volumes',
  'pod-updates',
  'pod-exec',
  'bindings',
  'token-requests',
  'authority-tokens',
  'trust-bundles',
  'pod-certificate-requests',
  'control-parts-authority',
  'control-parts-webhook',
  'control-parts-namespaces',
] as const
export type CaseFile = (typeof CASE_FILES)[number]

/** Files about a policy of another name. */
const POLICY_OF: Partial<Record<CaseFile, string>> = {
  exchangers: 'nocreds-pods',
  'former-pods': 'nocreds-pods',
}

/** Policies that refuse some of what is denied in a file as well; either may be the first. */
const ALSO_BY: Partial<Record<CaseFile, string>> = {
  // The role, which the mark says, too.
  'driver-volumes': 'nocreds-pods',
  // Sources and doubles of variables, and values of the settings.
  sessions: 'nocreds-pods',
}

/** Names of the policies of which any may be the one that refuses what is denied in a file. */
export function deniedBy(file: CaseFile): readonly string[] {
  const other = ALSO_BY[file]
  return other === undefined ? [policyOf(file)] : [policyOf(file), other]
}

/** Name of the policy that a file is about. */
export function policyOf(file: CaseFile): string {
  return POLICY_OF[file] ?? `nocreds-${file}`
}

export function readCases(file: CaseFile): GuardCase[] {
  return parse(readFileSync(join(CASES, `${file}.yaml`), 'utf8')) as GuardCase[]
}

/** The Namespaces and ServiceAccounts that the cases need. */
export function readCaseObjects(): KubernetesObject[] {
  const documents = parseAllDocuments(readFileSync(join(CASES, 'objects.yaml'), 'utf8'))
  return documents.map((document) => document.toJS() as KubernetesObject)
}

/** The object that a case sends. A pod is of a scheduler that does not exist, so none ever starts. */
export function objectOf({
  from,
  change = [],
}: Pick<GuardCase, 'from'> & Partial<GuardCase>): KubernetesObject {
  const object = changed(typeof from === 'string' ? goldenPod(from) : from, change)
  const isOfAnyName = object.kind === 'Pod' || object.kind === 'ServiceAccount'
  if (object.metadata.name !== undefined && isOfAnyName) object.metadata.name = 'case'
  delete object.metadata.namespace
  if (object.kind === 'Pod') object.spec = { ...object.spec, schedulerName: 'none' }
  return object
}

/** A copy of the object with a JSON patch (RFC 6902). @throws Error if the patch does not apply */
export function changed(object: KubernetesObject, patch: readonly Operation[]): KubernetesObject {
  const copy = copyOf(object)
  for (const failed of applyPatch(copy, copyOf([...patch]))) if (failed !== null) throw failed
  return copy
}

/** Unlike structuredClone, it makes arrays of Jest's realm, as which alone rfc6902 knows arrays. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** Pods with every maximum at once, made of smaller ones. */
const LARGEST: { readonly [Name in Golden]?: (pod: KubernetesObject) => KubernetesObject } = {
  largest,
  'largest-driver': largestOfDriver,
  'largest-of-containers': (pod) => largest(pod, OF_CONTAINERS),
  'largest-driver-of-containers': (pod) => largestOfDriver(pod, OF_CONTAINERS),
}

function goldenPod(name: Golden): KubernetesObject {
  const text = readFileSync(join(GOLDENS, `${GOLDEN[name]}.want.yaml`), 'utf8')
  const [, pod] = parseAllDocuments(text)
  if (pod === undefined) throw new Error(`${GOLDEN[name]}.want.yaml has no pod`)
  const golden = pod.toJS() as KubernetesObject
  const make = LARGEST[name]
  return make === undefined ? golden : make(golden)
}
