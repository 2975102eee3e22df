import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { recordedDeps } from '../test/fakes/webhook-answers.ts'
import { parseFlags } from './config.ts'
import { isClusterAudienceGuarded, warnOfDefaultDelivery } from './start-checks.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-test-'))
})
afterEach(() => rm(folder, { recursive: true }))

const config = (...flags: string[]): ReturnType<typeof parseFlags> =>
  parseFlags(['--exchanger-image', 'nocreds/exchanger:0.1.0', ...flags])

const tokenOf = (claims: unknown): string =>
  ['e30', Buffer.from(JSON.stringify(claims)).toString('base64url'), 'c2ln'].join('.')

/** The verdict about a token file of this content, and what was said about it. */
async function look(
  content: string | undefined,
  ...flags: string[]
): Promise<{ guarded: boolean; said: string }> {
  const file = join(folder, 'token')
  if (content !== undefined) await writeFile(file, content)
  const { deps, lines } = recordedDeps()
  const guarded = await isClusterAudienceGuarded(config(...flags), file, deps.log)
  return { guarded, said: JSON.stringify(lines) }
}

describe("the cluster's own audience", () => {
  test.each([
    ['that of the settings', ['https://kubernetes.default.svc', 'sts.amazonaws.com'], []],
    ['as a single text', 'sts.amazonaws.com', []],
    ['that of the flag', ['k3s'], ['--audience', 'k3s']],
    ["the authority's", ['nocreds.dev/authority'], []],
  ])('is guarded: %s', async (_, aud, flags) => {
    const { guarded, said } = await look(tokenOf({ aud }), ...flags)
    expect(guarded).toBe(true)
    expect(said).toContain('--accept-cluster-audience true')
    expect(said).toContain(typeof aud === 'string' ? aud : aud.join(' '))
  })

  test.each([
    ['another', { aud: ['https://kubernetes.default.svc.cluster.local'] }, []],
    ['one that only begins alike', { aud: ['sts.amazonaws.com.cn'] }, []],
    ['not the one that the flag replaced', { aud: ['sts.amazonaws.com'] }, ['--audience', 'own']],
  ])('is not guarded: %s', async (_, claims, flags) => {
    expect(await look(tokenOf(claims), ...flags)).toEqual({ guarded: false, said: '[]' })
  })

  test.each([
    ['no file', undefined],
    ['an empty file', ''],
    ['no token', 'x.y.z'],
    ['no audience', tokenOf({ sub: 'x' })],
    ['audiences of another type', tokenOf({ aud: [1, null] })],
    ['no object', tokenOf(null)],
    ['a file too large', 'x'.repeat(70_000)],
  ])('is logged as unknown: %s', async (_, content) => {
    const { guarded, said } = await look(content)
    expect(guarded).toBe(false)
    expect(said).toContain("apiserver's own audience unknown")
    expect(said.length).toBeLessThan(400)
  })
})

test('only --default-delivery web-identity logs that it needs permission', () => {
  for (const delivery of ['process', 'endpoint', 'web-identity']) {
    const { deps, lines } = recordedDeps()
    warnOfDefaultDelivery(config('--default-delivery', delivery), deps.log)
    expect(lines.map(({ msg }) => msg)).toEqual(
      delivery === 'web-identity'
        ? [expect.stringContaining('nocreds.dev/permitted-deliveries')]
        : [],
    )
  }
})
