import { join } from 'node:path'
import { AUTHORITY_VOLUME, CERTIFICATE_LIMITS } from '../../contract/certificates.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'
import { readCertificate } from '../publish/tls-folder.ts'
import { failure, type Errand } from './failures.ts'

/**
 * By which CAs the authority proves itself:
 * - `mounted`: those of the ConfigMap in the pod's namespace. They open the first connection, and that alone.
 * - `published`: those that the authority itself gave, over a connection that was proved before. A
 *   ConfigMap that someone replaced has no say any more.
 */
export type TrustSource = 'mounted' | 'published'

/**
 * PEM with one certificate at least, as Node would take an empty one for "the usual CAs".
 *
 * @throws SidecarError; what is published and cannot be read is never replaced by what is mounted
 */
export async function readTrustBundle(errand: Errand, source: TrustSource): Promise<string> {
  if (source === 'mounted') return readMounted(errand)
  const { tlsFolder } = errand.config
  const published = await readCertificate(tlsFolder)
  if (published !== undefined) return published.trustBundle
  const text = `what is published in ${tlsFolder} cannot be read`
  throw failure(errand, 'transient', 'PublishedUnreadable', text)
}

async function readMounted(errand: Errand): Promise<string> {
  const file = join(errand.config.authorityFolder, AUTHORITY_VOLUME.files.trustBundle)
  let text: string | undefined
  try {
    text = await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)
  } catch (error) {
    const what = codeOf(error) ?? 'it is too large'
    throw failure(errand, 'transient', 'TrustBundleMalformed', `${file} cannot be read: ${what}`)
  }
  if (text === undefined) {
    throw failure(errand, 'transient', 'TrustBundleMissing', `${file} does not exist`)
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw failure(errand, 'transient', 'TrustBundleMalformed', `${file} holds no certificate`)
  }
  return text
}
