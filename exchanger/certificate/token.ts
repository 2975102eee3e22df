import { join } from 'node:path'
import { AUTHORITY, AUTHORITY_VOLUME } from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { jsonObject } from '../../shared/base/json.ts'
import { readTokenFile } from '../token-file.ts'
import { failure, type Task } from './failures.ts'

/**
 * Reads the projected token for the authority. The content of any other file or token is never sent or shown; the
 * error only says that it is not this token.
 *
 * @throws SidecarError: TokenMissing, TokenUnreadable, TokenMalformed, WrongAudience
 */
export async function readAuthorityToken(task: Task<CertificateConfig>): Promise<string> {
  const file = join(task.config.authorityFolder, AUTHORITY_VOLUME.files.token)
  const jwt = await readTokenFile(file, task.wanted)
  if (isForAuthority(jwt)) return jwt
  const text = `the token file ${file} does not contain a token for ${AUTHORITY.audience}`
  throw failure(task, 'refused', 'WrongAudience', text)
}

/** Whether the token says that it is for the authority. */
function isForAuthority(jwt: string): boolean {
  const [, claims = ''] = jwt.split('.')
  const { aud } = jsonObject(Buffer.from(claims, 'base64url').toString('utf8')) ?? {}
  return [aud].flat().includes(AUTHORITY.audience)
}
