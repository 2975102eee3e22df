import { parse } from 'yaml'

/** Reads a file of manifests/, by its path there. */
export type ReadManifest = (path: string) => string

/** What a kustomization may hold here: anything else would change the files on their way. */
const ALLOWED = ['apiVersion', 'kind', 'resources']

/** A file that `npm run manifests` writes into manifests/, and the folders that it is made of. */
export interface Composed {
  readonly file: string
  readonly what: string
  readonly folders: readonly string[]
}

export const COMPOSED: readonly Composed[] = [
  { file: 'install.yaml', what: 'everything', folders: ['base', 'authority', 'guard'] },
  { file: 'install-driver.yaml', what: 'the driver, an option', folders: ['driver'] },
]

/** The folders in words. */
export function foldersOf({ folders }: Composed): string {
  const all = folders.map((folder) => `manifests/${folder}`)
  const last = all.pop() ?? ''
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`
}

function headerOf(composed: Composed): string {
  return `# nocreds: ${composed.what}, for kubectl apply -f. Written by \`npm run manifests\` from\n# ${foldersOf(composed)}; change it there.\n`
}

/**
 * The files that a kustomization lists, by their paths in manifests/, in the order of the list.
 *
 * @throws Error if it asks for more than the files as they are (patches, images, another folder)
 */
function filesOf(folder: string, read: ReadManifest): string[] {
  const path = `${folder}/kustomization.yaml`
  const kustomization = parse(read(path)) as Readonly<Record<string, unknown>>
  const field = Object.keys(kustomization).find((key) => !ALLOWED.includes(key))
  if (field !== undefined) {
    throw new Error(`${path} has the field ${field}; allowed: ${ALLOWED.join(', ')}`)
  }
  const resources: unknown = kustomization['resources']
  if (!Array.isArray(resources)) throw new Error(`${path} has no list resources`)
  return resources.map((resource: unknown) => {
    if (typeof resource !== 'string' || !/^[a-z0-9-]+\.yaml$/.test(resource)) {
      throw new Error(`${path} lists ${JSON.stringify(resource)}; allowed: files of its own folder`)
    }
    return `${folder}/${resource}`
  })
}

/** The text of the file: those of the folders, one after the other, comments included. */
export function compose(composed: Composed, read: ReadManifest): string {
  const texts = composed.folders.flatMap((folder) => filesOf(folder, read).map(read))
  return headerOf(composed) + texts.map((text) => `---\n${text.trimEnd()}\n`).join('')
}
