import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CONFIG, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { readToken } from './token.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-token-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(text: string): ReturnType<typeof readToken> {
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, text)
  return readToken({ ...CONFIG, tokenFile })
}

function jwt(payload: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256' })}.${part(payload)}.c2lnbmF0dXJl`
}

describe('the token file', () => {
  test('returns token and claims; a trailing newline is not sent', async () => {
    const token = jwt({ iss: 'https://i', sub: 's', aud: ['a', 'b'], exp: 1000 })
    expect(await read(`${token}\n`)).toEqual({
      jwt: token,
      claims: { issuer: 'https://i', subject: 's', audiences: ['a', 'b'], expiresAtMs: 1_000_000 },
    })
    expect((await read(jwt({ aud: 'a' }))).claims).toEqual({
      issuer: '',
      subject: '',
      audiences: ['a'],
      expiresAtMs: undefined,
    })
  })

  test('ignores claims of the wrong type', async () => {
    const { claims } = await read(jwt({ iss: 5, sub: null, aud: ['a', 7], exp: '2030' }))
    expect(claims).toEqual({ issuer: '', subject: '', audiences: ['a'], expiresAtMs: undefined })
    expect((await read(jwt({ aud: 5 }))).claims.audiences).toEqual([])
  })

  test('missing', async () => {
    const tokenFile = join(folder, 'none')
    expect(await thrownBy(() => readToken({ ...CONFIG, tokenFile }))).toMatchObject({
      code: 'TokenMissing',
      failureClass: 'token',
      message: `no exchange of arn:aws:iam::111122223333:role/app for ServiceAccount team-a/app: the token file ${tokenFile} does not exist`,
    })
  })

  test('unreadable', async () => {
    expect(await thrownBy(() => readToken({ ...CONFIG, tokenFile: folder }))).toMatchObject({
      code: 'TokenUnreadable',
      failureClass: 'token',
    })
  })

  test.each([
    ['empty', ''],
    ['too short', 'abc'],
    ['too long', jwt({ iss: 'x'.repeat(20_000) })],
    ['far too long', 'x'.repeat(1_000_000)],
    ['no JWT', 'super-secret-but-no-jwt'],
  ])('%s', async (_what, text) => {
    const error = await thrownBy(() => read(text))
    expect(error).toMatchObject({ code: 'TokenMalformed', failureClass: 'token' })
    expect((error as Error).message).not.toContain('super-secret')
    expect((error as Error).cause).toBeUndefined()
  })
})
