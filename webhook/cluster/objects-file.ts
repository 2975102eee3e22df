import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments, type Document } from 'yaml'
import * as z from 'zod'
import { codeOf, messageOf, UsageError } from '../../shared/base/errors.ts'
import { keepOwnAnnotations } from './own-annotations.ts'
import type { Annotated, ClusterReader } from './types.ts'

const metadata = z.looseObject({
  name: z.string().min(1),
  namespace: z.string().nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
})

const objectSchema = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.enum(['Namespace', 'ServiceAccount']),
  metadata,
})

const listSchema = z.looseObject({ kind: z.literal('List'), items: z.array(z.unknown()) })

/**
 * The standalone mode's cluster: Namespaces and ServiceAccounts from a YAML file, or from all
 * `*.yaml` and `*.yml` of a folder. As in a cluster, each Namespace has a ServiceAccount `default`.
 *
 * @throws UsageError that names the file, the document and what is allowed
 */
export async function readObjects(path: string): Promise<ClusterReader> {
  const namespaces = new Map<string, Annotated>()
  const serviceAccounts = new Map<string, Annotated>()
  const add = (objects: Map<string, Annotated>, key: string, found: Found): void => {
    if (objects.has(key))
      throw new UsageError(`${found.where}: ${found.kind} ${key} is defined twice`)
    objects.set(key, found.annotated)
  }
  for (const file of await filesOf(path)) {
    for (const found of await readFileObjects(file)) {
      if (found.kind === 'Namespace') add(namespaces, found.name, found)
      else add(serviceAccounts, `${found.namespace}/${found.name}`, found)
    }
  }
  for (const name of namespaces.keys()) {
    if (!serviceAccounts.has(`${name}/default`))
      serviceAccounts.set(`${name}/default`, keepOwnAnnotations({}))
  }
  return {
    serviceAccount: (namespace, name) => serviceAccounts.get(`${namespace}/${name}`),
    namespace: (name) => namespaces.get(name),
    ready: true,
    counts: () => ({ ServiceAccount: serviceAccounts.size, Namespace: namespaces.size }),
  }
}

interface Found {
  readonly kind: 'Namespace' | 'ServiceAccount'
  readonly name: string
  readonly namespace: string
  readonly annotated: Annotated
  /** File and document, for messages. */
  readonly where: string
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort()
    if (names.length === 0)
      throw new UsageError(`--objects ${path}: no *.yaml or *.yml in the folder`)
    return names.map((name) => join(path, name))
  } catch (error) {
    throw unreadable(path, error)
  }
}

async function readFileObjects(file: string): Promise<Found[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error)
  })
  return parseAllDocuments(text).flatMap((document, index) => {
    const where = `--objects ${file}, document ${index + 1}`
    const [problem] = document.errors
    if (problem !== undefined) throw new UsageError(`${where}: not YAML: ${problem.message}`)
    const value = valueOf(document, where)
    if (value === null) return []
    const list = listSchema.safeParse(value)
    return (list.success ? list.data.items : [value]).map((item) => readObject(item, where))
  })
}

/** Aliases are resolved only here, up to the library's limit. */
function valueOf(document: Pick<Document, 'toJS'>, where: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw new UsageError(`${where}: not YAML: ${messageOf(error)}`)
  }
}

function readObject(value: unknown, where: string): Found {
  const parsed = objectSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue?.path.join('.') ?? ''
    throw new UsageError(
      `${where}: ${field === '' ? 'it' : field}: ${issue?.message ?? 'invalid'}; allowed: Namespaces and ServiceAccounts of apiVersion v1`,
    )
  }
  const { kind, metadata: meta } = parsed.data
  return {
    kind,
    name: meta.name,
    namespace: meta.namespace ?? 'default',
    annotated: keepOwnAnnotations(meta.annotations),
    where,
  }
}

function unreadable(path: string, error: unknown): UsageError {
  if (error instanceof UsageError) return error
  return new UsageError(`--objects ${path} cannot be read: ${codeOf(error) ?? 'unknown'}`)
}
