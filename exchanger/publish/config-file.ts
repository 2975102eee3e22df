import { join } from 'node:path'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { writeAtomically } from '../../shared/base/files.ts'

/**
 * The AWS config file that `delivery: process` points AWS_CONFIG_FILE at. Most SDKs read `[default]`;
 * PHP looks only for `[profile default]` in a config file.
 * Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
 */
function configFile(folder: string): string {
  const line = `credential_process = cat ${join(folder, CREDENTIALS_FILES.document)}\n`
  return `[default]\n${line}\n[profile default]\n${line}`
}

/** Writes it; it must exist before an app starts, because some SDKs remember that it was missing. */
export async function writeConfigFile(folder: string): Promise<void> {
  await writeAtomically(join(folder, CREDENTIALS_FILES.config), configFile(folder))
}
