import { join } from 'node:path'
import { AUTHORITY, AUTHORITY_VOLUME } from '../../contract/certificates.ts'
import { jsonObject } from '../../shared/base/json.ts'
import { readTokenFile } from '../token-file.ts'
import { failure, type Errand } from './failures.ts'

/**
 * The projected token for the authority. Any other file, and any other token, stays where it is: what is
 * said of it is only that it is another.
 *
 * @throws SidecarError: TokenMissing, TokenUnreadable, TokenMalformed, WrongAudience
 */
export async function readAuthorityToken(errand: Errand): Promise<string> {
  const file = join(errand.config.authorityFolder, AUTHORITY_VOLUME.files.token)
  const jwt = await readTokenFile(file, errand.wanted)
  if (isForAuthority(jwt)) return jwt
  const text = `the token file ${file} holds no token for ${AUTHORITY.audience}`
  throw failure(errand, 'refused', 'WrongAudience', text)
}

function isForAuthority(jwt: string): boolean {
  const [, claims = ''] = jwt.split('.')
  const { aud } = jsonObject(Buffer.from(claims, 'base64url').toString('utf8')) ?? {}
  return [aud].flat().includes(AUTHORITY.audience)
}
