import { CREDENTIALS_FILES } from './names.ts'

/**
 * The AWS config file that `delivery: process` points AWS_CONFIG_FILE at. Most SDKs read `[default]`;
 * PHP looks only for `[profile default]` in a config file.
 * Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
 *
 * @param folder the credentials volume, as the app sees it
 */
export function awsConfigFile(folder: string): string {
  const line = `credential_process = cat ${folder}/${CREDENTIALS_FILES.document}\n`
  return `[default]\n${line}\n[profile default]\n${line}`
}
