import { createHash, type Hash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'

/** A folder of the cache, and the recipe that it was made by. */
export interface Made {
  readonly path: string
  /** Hash of everything that the content depends on; what is made of it includes it in its own. */
  readonly recipe: string
}

/** Hash of a recipe: what is put in, by value. */
export function recipeOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** Hash of all files below the folders, by name and content. */
export async function recipeOfFiles(...folders: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of folders) await addFolder(hash, folder)
  return hash.digest('hex').slice(0, 16)
}

async function addFolder(hash: Hash, folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    hash.update(`${entry.name}\0`)
    if (entry.isDirectory()) await addFolder(hash, path)
    else hash.update(await readFile(path))
  }
}

/**
 * The folder `NAME-RECIPE` of the cache, made if it is missing. It gets its name once it is complete,
 * so an interrupted run leaves nothing that looks finished, and the next one continues from there. What
 * older recipes made is removed.
 */
export async function cached(
  host: Host,
  name: string,
  recipe: string,
  make: (folder: string) => Promise<void>,
): Promise<Made> {
  const path = join(host.cache, `${name}-${recipe}`)
  if (await exists(path)) return { path, recipe }
  const unfinished = join(host.cache, `${name}.unfinished`)
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  await host.progress.step(name, () => make(unfinished))
  for (const entry of await readdir(host.cache)) {
    const isOlder = entry.startsWith(`${name}-`) && entry.length === name.length + 1 + recipe.length
    if (isOlder) await rm(join(host.cache, entry), { recursive: true, force: true })
  }
  await rename(unfinished, path)
  return { path, recipe }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
