import { join } from 'node:path'
import { awsConfigFile } from '../../contract/config-file.ts'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { writeAtomically } from '../../shared/base/files.ts'

/**
 * Writes it; it must stand before an app starts, for some SDKs remember that it was missing.
 *
 * @param appFolder where the app mounts the folder
 */
export async function writeConfigFile(folder: string, appFolder: string): Promise<void> {
  await writeAtomically(join(folder, CREDENTIALS_FILES.config), awsConfigFile(appFolder))
}
