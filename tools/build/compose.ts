import { parse } from 'yaml'

/** Reads a file of manifests/, by its path there. */
export type ReadManifest = (path: string) => string

/** What a kustomization may hold here: anything else would change the files on their way. */
const ALLOWED = ['apiVersion', 'kind', 'resources']

const HEADER = `# nocreds: everything, for kubectl apply -f. Written by \`npm run manifests\` from manifests/base,
# manifests/authority and manifests/guard; change it there.
`

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

/** The text of install.yaml: the files of the folders, one after the other, comments included. */
export function compose(folders: readonly string[], read: ReadManifest): string {
  const texts = folders.flatMap((folder) => filesOf(folder, read).map(read))
  return HEADER + texts.map((text) => `---\n${text.trimEnd()}\n`).join('')
}
