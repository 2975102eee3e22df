import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyPatch, type Operation } from 'rfc6902'
import { parse, parseAllDocuments } from 'yaml'
import { REPOSITORY } from '../versions.ts'

const CASES = join(REPOSITORY, 'manifests', 'guard', 'cases')
const GOLDENS = join(REPOSITORY, 'webhook', 'admit', 'testdata')
/** Files of the pods as the webhook writes them, by the name that cases give them. */
const GOLDEN = {
  process: 'plain',
  endpoint: 'endpoint',
  'web-identity': 'web-identity',
  certificate: 'certificate',
  'certificate-and-role': 'certificate-and-role',
  'certificate-and-web-identity': 'certificate-and-web-identity',
  'certificate-by-kubelet': 'certificate-by-kubelet',
} as const

export type Data = Readonly<Record<string, string>>

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  metadata: { name?: string; namespace?: string; labels?: Record<string, string> }
  spec?: Record<string, unknown>
}

/** One case of manifests/guard/cases; README.md there says what each field means. */
export interface GuardCase {
  readonly name: string
  readonly from: keyof typeof GOLDEN | KubernetesObject
  readonly change?: readonly Operation[]
  readonly namespace?: string
  readonly settings?: Data
  readonly as?: { readonly user: string; readonly groups: readonly string[] }
  readonly subresource?: string
  readonly container?: string
  readonly update?: readonly Operation[]
  readonly between?: { readonly permittedRoles?: string; readonly settings?: Data }
  readonly verdict: 'allowed' | 'denied'
  readonly message?: string
}

export const CASE_FILES = [
  'service-accounts',
  'token-requests',
  'pods',
  'pod-updates',
  'pod-exec',
] as const

export function readCases(file: (typeof CASE_FILES)[number]): GuardCase[] {
  return parse(readFileSync(join(CASES, `${file}.yaml`), 'utf8')) as GuardCase[]
}

/** The Namespaces and ServiceAccounts that the cases need. */
export function readCaseObjects(): KubernetesObject[] {
  const documents = parseAllDocuments(readFileSync(join(CASES, 'objects.yaml'), 'utf8'))
  return documents.map((document) => document.toJS() as KubernetesObject)
}

/** The object that a case sends. A pod is of a scheduler that does not exist, so none ever starts. */
export function objectOf({ from, change = [] }: GuardCase): KubernetesObject {
  const object = copyOf(typeof from === 'string' ? goldenPod(from) : from)
  for (const failed of applyPatch(object, copyOf([...change]))) if (failed !== null) throw failed
  if (object.metadata.name !== undefined && object.kind !== 'TokenRequest')
    object.metadata.name = 'case'
  delete object.metadata.namespace
  if (object.kind === 'Pod') object.spec = { ...object.spec, schedulerName: 'none' }
  return object
}

/** Unlike structuredClone, it makes arrays of Jest's realm, as which alone rfc6902 knows arrays. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

function goldenPod(name: keyof typeof GOLDEN): KubernetesObject {
  const text = readFileSync(join(GOLDENS, `${GOLDEN[name]}.want.yaml`), 'utf8')
  const [, pod] = parseAllDocuments(text)
  if (pod === undefined) throw new Error(`${GOLDEN[name]}.want.yaml has no pod`)
  return pod.toJS() as KubernetesObject
}
