import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { MAX_ROLES, slotOf } from '../contract/container-roles.ts'

export const ROOT = join(import.meta.dirname, '..')
export const MANIFESTS = join(ROOT, 'manifests')

/** The volumes of credentials, one for each role that a pod may have. */
export const SLOT_VOLUMES = Array.from({ length: MAX_ROLES }, (_, index) => ({
  name: slotOf(index).volume,
}))

/** Any object of Kubernetes, as far as the tests of the manifests read it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly [field: string]: unknown
}

export function documentsIn(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    return document.toJS() as Manifest
  })
}

/** Every YAML file of base, authority, guard and overlays, by its path in manifests/; cases are not manifests. */
export const FILES: readonly string[] = globSync('{base,authority,guard,overlays}/**/*.yaml', {
  cwd: MANIFESTS,
})
  .filter((file) => !file.startsWith('guard/cases/'))
  .sort()

/** Those of the driver, which is installed apart. */
export const DRIVER_FILES: readonly string[] = globSync('driver/**/*.yaml', {
  cwd: MANIFESTS,
}).sort()

export function textOf(file: string): string {
  return readFileSync(join(MANIFESTS, file), 'utf8')
}

/** What `kubectl apply -f manifests/install.yaml` applies. */
export const INSTALLED: readonly Manifest[] = documentsIn(textOf('install.yaml'))

/** What `kubectl apply -f manifests/install-driver.yaml` applies besides. */
export const INSTALLED_DRIVER: readonly Manifest[] = documentsIn(textOf('install-driver.yaml'))

/** The only installed object of a kind and name. */
export function installed(kind: string, name: string, among = INSTALLED): Manifest {
  const found = among.filter((one) => one.kind === kind && one.metadata.name === name)
  const [only] = found
  if (only === undefined || found.length > 1) throw new Error(`${found.length} of ${kind} ${name}`)
  return only
}

/** The value at a path of keys and indexes; throws where there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value
  for (const key of path) {
    if (typeof here !== 'object' || here === null || !(key in here)) {
      throw new Error(`no ${path.join('.')} in ${JSON.stringify(value)}`)
    }
    here = (here as Readonly<Record<string | number, unknown>>)[key]
  }
  return here
}

/** Not a dependency: what needs it is skipped where it is missing. */
const KUBECTL = 'kubectl'

export const HAS_KUBECTL = spawnSync(KUBECTL, ['version', '--client']).status === 0

/** The objects that `kubectl kustomize` makes of a folder of manifests/. */
export function kustomized(folder: string): Manifest[] {
  const { status, stdout, stderr } = spawnSync(KUBECTL, ['kustomize', join(MANIFESTS, folder)], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return documentsIn(stdout)
}
