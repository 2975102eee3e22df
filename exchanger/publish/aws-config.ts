import { join } from 'node:path'
import { CREDENTIALS_FILES } from '../../contract/names.ts'
import { writeAtomically } from '../../platform/files.ts'

/**
 * Writes what AWS_CONFIG_FILE points at. It must stand before the app starts and never change: some
 * SDKs read it once per process. PHP looks only for `[profile default]`, others only for `[default]`.
 *
 * The command is one program and one absolute path: botocore runs it without a shell.
 * Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
 */
export async function writeAwsConfig(folder: string): Promise<void> {
  const command = `credential_process = cat ${join(folder, CREDENTIALS_FILES.document)}`
  const text = `[default]\n${command}\n[profile default]\n${command}\n`
  await writeAtomically(join(folder, CREDENTIALS_FILES.config), text)
}
