import { lstat, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { codeOf } from '../../shared/base/errors.ts'
import type { TokenRequest } from './issuer.ts'
import type { KubeletPod } from './kubelet-pod.ts'
import { preparePod, writeVolume } from './kubelet-volumes.ts'
import { VirtualClock } from './virtual-clock.ts'

const POD: KubeletPod = {
  metadata: { name: 'app-1', namespace: 'team-a' },
  spec: {
    serviceAccountName: 'app',
    volumes: [
      {
        name: 'token',
        projected: {
          sources: [
            { serviceAccountToken: { audience: 'aws', expirationSeconds: 600, path: 'token' } },
          ],
        },
      },
      { name: 'scratch', emptyDir: {} },
      { name: 'other' },
    ],
    containers: [],
  },
}

/** Undefined if the folder that `..data` pointed at went away during the look-up. */
async function readUnlessGone(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubelet-volumes-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('writeVolume', () => {
  test('lays the files out as the atomic writer does', async () => {
    await writeVolume(folder, { token: 'one', 'sub/file': 'two' }, Date.UTC(2027, 0, 2, 3, 4, 5))
    const data = await readlink(join(folder, '..data'))
    expect(data).toMatch(/^\.\.2027_01_02_03_04_05\.\w+$/)
    expect(await readlink(join(folder, 'token'))).toBe('..data/token')
    expect(await readFile(join(folder, 'token'), 'utf8')).toBe('one')
    expect(await readFile(join(folder, 'sub/file'), 'utf8')).toBe('two')
    expect((await stat(join(folder, 'token'))).mode & 0o777).toBe(0o644)
    expect((await stat(join(folder, data))).mode & 0o777).toBe(0o755)
  })

  test('a second write swaps ..data only and removes what was before', async () => {
    await writeVolume(folder, { token: 'one' }, 0)
    const before = await lstat(join(folder, 'token'))
    const data = await readlink(join(folder, '..data'))
    await writeVolume(folder, { token: 'two' }, 0)
    expect(await readFile(join(folder, 'token'), 'utf8')).toBe('two')
    expect((await lstat(join(folder, 'token'))).ino).toBe(before.ino)
    expect(await readdir(folder)).not.toContain(data)
    expect(await readdir(folder)).toHaveLength(3)
  })

  test('a reader never sees a part of a file', async () => {
    const contents = ['a', 'b', 'c'].map((letter) => letter.repeat(20_000))
    await writeVolume(folder, { token: contents[0]! }, 0)
    const state = { done: false, reads: 0 }
    const reader = async (): Promise<void> => {
      while (!state.done) {
        const seen = await readUnlessGone(join(folder, 'token'))
        if (seen === undefined) continue
        expect(contents.includes(seen)).toBe(true)
        state.reads += 1
      }
    }
    const readers = [reader(), reader()]
    for (let round = 0; round < 60; round += 1) {
      await writeVolume(folder, { token: contents[round % 3]! }, round * 1000)
    }
    state.done = true
    await Promise.all(readers)
    expect(state.reads).toBeGreaterThan(0)
  })
})

describe('preparePod', () => {
  const clock = new VirtualClock()
  let asked: TokenRequest[]
  const issuer = {
    mintToken(request: TokenRequest): Promise<string> {
      asked.push(request)
      return Promise.resolve(`token ${asked.length}`)
    },
  }
  beforeEach(() => {
    asked = []
  })

  /** A rotation waits for the disk, which no clock moves. */
  async function askedTimes(times: number): Promise<void> {
    while (asked.length < times) await clock.settle()
    expect(asked).toHaveLength(times)
  }

  test('makes the volumes that it knows and puts the token in', async () => {
    const prepared = await preparePod(POD, { folder, issuer, clock })
    await prepared.close()
    expect([...prepared.volumes]).toEqual([
      ['token', join(folder, 'volumes/token')],
      ['scratch', join(folder, 'volumes/scratch')],
    ])
    expect(await readFile(join(folder, 'volumes/token/token'), 'utf8')).toBe('token 1')
    expect(await readdir(join(folder, 'volumes/scratch'))).toEqual([])
    expect(asked).toEqual([
      {
        namespace: 'team-a',
        serviceAccount: 'app',
        pod: 'app-1',
        audience: 'aws',
        expiresInSeconds: 600,
      },
    ])
  })

  test('rotates at 80 % of the lifetime, and again, until it is closed', async () => {
    const prepared = await preparePod(POD, { folder, issuer, clock })
    await clock.advance(479_999)
    expect(asked).toHaveLength(1)
    await clock.advance(1)
    await askedTimes(2)
    await clock.advance(480_000)
    await askedTimes(3)
    await prepared.close()
    expect(await readFile(join(folder, 'volumes/token/token'), 'utf8')).toBe('token 3')
    expect(clock.pending).toBe(0)
    await clock.advance(1_000_000)
    expect(asked).toHaveLength(3)
  })

  test('rotates on demand, and counts the lifetime from there', async () => {
    const prepared = await preparePod(POD, { folder, issuer, clock })
    await clock.advance(400_000)
    await prepared.rotateToken()
    expect(await readFile(join(folder, 'volumes/token/token'), 'utf8')).toBe('token 2')
    await clock.advance(479_999)
    expect(asked).toHaveLength(2)
    await clock.advance(1)
    await askedTimes(3)
    await prepared.close()
  })

  test('a failed rotation leaves the old token, and the next one succeeds', async () => {
    const state = { down: false }
    const flaky = {
      mintToken: (request: TokenRequest): Promise<string> =>
        state.down ? Promise.reject(new Error('issuer is down')) : issuer.mintToken(request),
    }
    const token = (): Promise<string> => readFile(join(folder, 'volumes/token/token'), 'utf8')
    const prepared = await preparePod(POD, { folder, issuer: flaky, clock })
    state.down = true
    await expect(prepared.rotateToken()).rejects.toThrow('issuer is down')
    expect(await token()).toBe('token 1')
    state.down = false
    await prepared.rotateToken()
    expect(await token()).toBe('token 2')
    await prepared.close()
  })

  describe('with a ConfigMap beside two tokens', () => {
    const token = (audience: string): object => ({
      serviceAccountToken: { audience, expirationSeconds: 600, path: audience },
    })
    const configMap = { name: 'bundle', items: [{ key: 'ca.crt', path: 'ca.pem' }] }
    const sources = [token('aws'), token('authority'), { configMap }]
    const pod = {
      ...POD,
      spec: { ...POD.spec, volumes: [{ name: 'mixed', projected: { sources } }] },
    } as KubeletPod
    const contentOf = (name: string): Promise<string> =>
      readFile(join(folder, 'volumes/mixed', name), 'utf8')

    test('writes all of them, and the ConfigMap as it is at each rotation', async () => {
      let content = 'old'
      const maps = (...names: string[]) =>
        names.join('/') === 'team-a/bundle' ? { 'ca.crt': content, other: 'x' } : undefined
      const prepared = await preparePod(pod, { folder, issuer, clock, configMap: maps })
      expect(asked.map(({ audience }) => audience)).toEqual(['aws', 'authority'])
      expect(await contentOf('authority')).toBe('token 2')
      expect(await contentOf('ca.pem')).toBe('old')
      content = 'new'
      await prepared.rotateToken()
      await prepared.close()
      expect(await contentOf('ca.pem')).toBe('new')
      expect(await readdir(join(folder, 'volumes/mixed'))).not.toContain('other')
    })

    test.each([
      ['does not exist', undefined],
      ['has no ca.crt', { other: 'x' }],
    ])('one that %s is an error', async (said, data) => {
      const options = { folder, issuer, clock, configMap: () => data as undefined }
      await expect(preparePod(pod, options)).rejects.toThrow(said)
    })
  })

  test('needs a pod with a name from the apiserver', async () => {
    const pod = { ...POD, metadata: { namespace: 'team-a' } }
    await expect(preparePod(pod, { folder, issuer, clock })).rejects.toThrow('metadata.name')
  })
})
