import { join } from 'node:path'
import { AUTHORITY_VOLUME, CERTIFICATE_LIMITS } from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'
import { readCertificate } from '../publish/tls-folder.ts'
import { failure, type Task } from './failures.ts'

/**
 * The CAs that verify the authority:
 * - `mounted`: those of the ConfigMap in the pod's namespace; used only for the first connection
 * - `published`: those that the authority itself sent, over a connection that was already verified. A
 *   ConfigMap that was replaced has no effect any more.
 */
export type TrustSource = 'mounted' | 'published'

/**
 * Reads PEM with at least one certificate: for an empty text, Node would use its built-in CAs.
 *
 * @throws SidecarError; an unreadable published bundle is never replaced by the mounted one
 */
export async function readTrustBundle(
  task: Task<CertificateConfig>,
  source: TrustSource,
): Promise<string> {
  if (source === 'mounted') return readMounted(task)
  const { tlsFolder } = task.config
  const published = await readCertificate(tlsFolder)
  if (published !== undefined) return published.trustBundle
  const text = `the published certificate in ${tlsFolder} cannot be read`
  throw failure(task, 'transient', 'PublishedUnreadable', text)
}

function readMounted(task: Task<CertificateConfig>): Promise<string> {
  return readTrustBundleFile(
    task,
    join(task.config.authorityFolder, AUTHORITY_VOLUME.files.trustBundle),
  )
}

/** The mounted trust bundle: PEM with one certificate at least. @throws SidecarError */
export async function readTrustBundleFile(task: Task, file: string): Promise<string> {
  let text: string | undefined
  try {
    text = await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)
  } catch (error) {
    const cause = codeOf(error) ?? 'it is too large'
    throw failure(task, 'transient', 'TrustBundleMalformed', `${file} cannot be read: ${cause}`)
  }
  if (text === undefined) {
    throw failure(task, 'transient', 'TrustBundleMissing', `${file} does not exist`)
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw failure(
      task,
      'transient',
      'TrustBundleMalformed',
      `${file} does not contain a certificate`,
    )
  }
  return text
}
