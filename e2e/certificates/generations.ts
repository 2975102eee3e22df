/** Test double of the writer of $NOCREDS_TLS_DIR: one folder for each generation, and links like those of the kubelet. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TLS_FILES } from '../../contract/certificates.ts'
import type { TlsFiles } from './pki.ts'

export interface Generations {
  readonly folder: string
  /** Lays the files down as the present generation, and takes the one before it away. */
  publish(files: TlsFiles): Promise<void>
}

/** @param folder of its own; made here */
export async function createGenerations(folder: string, first: TlsFiles): Promise<Generations> {
  await mkdir(folder)
  let number = 0
  const publish = async (files: TlsFiles): Promise<void> => {
    number += 1
    const generation = `..gen-${number}`
    await mkdir(join(folder, generation))
    await writeFile(join(folder, generation, TLS_FILES.key), files.key)
    await writeFile(join(folder, generation, TLS_FILES.certificate), files.certificate)
    await writeFile(join(folder, generation, TLS_FILES.trustBundle), files.trustBundle)
    await symlink(generation, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await rm(join(folder, `..gen-${number - 1}`), { recursive: true, force: true })
  }
  await publish(first)
  for (const name of Object.values(TLS_FILES)) await symlink(`..data/${name}`, join(folder, name))
  return { folder, publish }
}
