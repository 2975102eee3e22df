import { readFile, stat } from 'node:fs/promises'
import { codeOf } from '../shared/base/errors.ts'
import { SidecarError } from './failure.ts'

/** WebIdentityToken of STS has 4–20000 characters. */
const LENGTH = { min: 4, max: 20_000 } as const

/**
 * Reads a projected token, without a final line break; again for each exchange.
 *
 * @param wanted what cannot be obtained without it: `exchange of arn:…`
 * @throws SidecarError of class `token`: TokenMissing, TokenUnreadable, TokenMalformed
 */
export async function readTokenFile(path: string, wanted: string): Promise<string> {
  const jwt = (await readText(path, wanted)).replace(/\r?\n$/, '')
  if (jwt.length < LENGTH.min || jwt.length > LENGTH.max) {
    const what = `it has ${jwt.length} characters; allowed: ${LENGTH.min}–${LENGTH.max}`
    throw malformedToken(path, wanted, what)
  }
  return jwt
}

async function readText(path: string, wanted: string): Promise<string> {
  let sizeBytes: number
  let text: string
  try {
    sizeBytes = (await stat(path)).size
    text = sizeBytes > LENGTH.max + 2 ? '' : await readFile(path, 'utf8')
  } catch (error) {
    const code = codeOf(error) ?? 'unknown'
    const isMissing = code === 'ENOENT'
    throw new SidecarError(
      'token',
      isMissing ? 'TokenMissing' : 'TokenUnreadable',
      `no ${wanted}: the token file ${path} ${isMissing ? 'does not exist' : `cannot be read: ${code}`}`,
      'The kubelet writes it: check the events of the pod.',
    )
  }
  if (text === '') {
    const what = `it has ${sizeBytes} bytes; allowed: ${LENGTH.min}–${LENGTH.max}`
    throw malformedToken(path, wanted, what)
  }
  return text
}

export function malformedToken(path: string, wanted: string, what: string): SidecarError {
  return new SidecarError(
    'token',
    'TokenMalformed',
    `no ${wanted}: the token file ${path} is malformed: ${what}`,
    'It must contain a projected ServiceAccount token.',
  )
}
