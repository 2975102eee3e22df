import { join } from 'node:path'
import type { Host } from '../support/host.ts'

/** On images made here: the recipe, so that a changed one is rebuilt. Pulled images have no such label. */
export const RECIPE_LABEL = 'nocreds.dev/e2e-recipe'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface ImageOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly entrypoint?: readonly string[]
  readonly user?: string
}

/** An image of the engine, with the recipe that it was made by here; the recipe of a pulled one is empty. */
export async function findImage(
  host: Host,
  name: string,
): Promise<{ readonly recipe: string } | undefined> {
  const format = `{{with .Config.Labels}}{{with index . "${RECIPE_LABEL}"}}{{.}}{{end}}{{end}}`
  const recipe = await host.tryRun('docker', ['image', 'inspect', '--format', format, name])
  return recipe === undefined ? undefined : { recipe }
}

/** Makes an image of one layer from a tree of files, in the place of an older one of that name. */
export async function importImage(
  host: Host,
  name: string,
  { tree, recipe, ...options }: ImageOptions & { readonly tree: string; readonly recipe: string },
): Promise<void> {
  const changes = [`LABEL ${RECIPE_LABEL}=${recipe}`, `ENV PATH=${PATH}`]
  for (const [key, value] of Object.entries(options.env ?? {})) changes.push(`ENV ${key}=${value}`)
  if (options.entrypoint !== undefined)
    changes.push(`ENTRYPOINT ${JSON.stringify(options.entrypoint)}`)
  if (options.user !== undefined) changes.push(`USER ${options.user}`)
  const flags = changes.map((change) => `--change '${change}'`).join(' ')
  const tar = 'tar -C "$1" --numeric-owner --sort=name --exclude=\'./dev/*\' -cf - .'
  const script = `set -o pipefail; ${tar} | docker import ${flags} - "$2"`
  const older = await host.tryRun('docker', ['image', 'inspect', '--format', '{{.Id}}', name])
  await host.run('bash', ['-c', script, 'import', tree, name])
  if (older !== undefined) await host.tryRun('docker', ['image', 'rm', older])
}

/** Runs one of the scripts of this folder. */
export async function runScript(host: Host, script: string, args: string[]): Promise<void> {
  await host.run(join(import.meta.dirname, script), args)
}
