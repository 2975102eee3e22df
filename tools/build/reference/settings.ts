import { parseDocument, isMap, isScalar, parseAllDocuments, type Pair } from 'yaml'
import { code, codeOrNothing, header, section, table } from './markdown.ts'

/** Reads a file of manifests/. */
export type Read = (path: string) => string

interface EnvEntry {
  readonly name: string
  readonly valueFrom?: {
    readonly configMapKeyRef?: { readonly name: string; readonly key: string }
  }
}
interface Workload {
  readonly kind?: string
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly args?: readonly string[]
          readonly env?: readonly EnvEntry[]
        }[]
      }
    }
  }
}

const WORKLOADS = {
  webhook: 'base/deployment.yaml',
  authority: 'authority/deployment.yaml',
  driver: 'driver/daemonset.yaml',
}

/** The flags that a Deployment or DaemonSet fills from a key of the settings. */
function flagsOf(key: string, read: Read): string[] {
  return Object.entries(WORKLOADS).flatMap(([program, path]) => {
    const workloads = parseAllDocuments(read(path)).map((one) => one.toJS() as Workload)
    return workloads
      .filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet')
      .flatMap(({ spec }) => spec.template.spec.containers)
      .flatMap(({ args = [], env = [] }) => {
        const names = env
          .filter(({ valueFrom }) => valueFrom?.configMapKeyRef?.key === key)
          .map(({ name }) => `=$(${name})`)
        return args.filter((arg) => names.some((name) => arg.endsWith(name)))
      })
      .map((arg) => `${code(arg.split('=')[0] ?? '')} of the ${program}`)
  })
}

/** The comments of settings.yaml are the texts; its values are the defaults. */
export function settingsPage(read: Read, guard: readonly string[]): string {
  const settings = parseDocument(read('base/settings.yaml'))
  const data = settings.get('data', true)
  if (!isMap(data)) throw new Error('manifests/base/settings.yaml has no data')
  const rows = data.items.map((item: Pair, index) => {
    const { key, value } = item
    if (!isScalar(key) || !isScalar(value)) throw new Error('settings.yaml: not a plain value')
    const name = String(key.value)
    // yaml gives the comment before the first key to the map.
    const comment = (index === 0 ? data.commentBefore : key.commentBefore) ?? ''
    const isOfGuard = guard.some((path) => read(path).includes(`data[?'${name}']`))
    return [
      code(name),
      comment.replaceAll(/\s*\n\s*/g, ' ').trim(),
      codeOrNothing(String(value.value)),
      [...flagsOf(name, read), ...(isOfGuard ? ['guard'] : [])].join(', '),
    ]
  })
  return [
    header(
      'Settings',
      'The ConfigMap `nocreds-settings` in the namespace `nocreds-system` holds what webhook, authority and guard must agree on. The guard follows a change within seconds. Webhook and authority read it when they start: after a change, [restart them](../operations.md#change-a-setting). The [driver](../driver.md#install) has a ConfigMap of its own, with the keys that it needs.',
    ),
    section('Keys', table(['key', 'what', 'default', 'read by'], rows)),
    section(
      'A key that is not there by default',
      table(
        ['key', 'what', 'default', 'read by'],
        [
          [
            '`authorityUrl`',
            'URL of the authority. If you change `--authority-url` of the webhook, set this key to the same value.',
            '`https://nocreds-authority.nocreds-system.svc`',
            'guard',
          ],
        ],
      ),
    ),
  ].join('')
}
