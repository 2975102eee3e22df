import { execFileSync } from 'node:child_process'
import {
  chown,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { awsConfigFile } from '../../contract/config-file.ts'
import { formatCredentialDocument } from '../../contract/credentials.ts'
import { CREDENTIALS_VOLUME } from '../../contract/names.ts'
import { realClock } from '../../shared/base/clock.ts'
import {
  makeKubeletFolders,
  startDriverKubelet,
  type DriverKubelet,
} from '../../test/fakes/driver-kubelet.ts'
import { POD } from '../../test/fakes/driver-samples.ts'
import {
  isRoot,
  makeMemoryFolder,
  mountTmpfs,
  removeFolder,
  strictly,
  VOLUME,
  volumeSettings,
} from '../../test/fakes/driver-volumes.ts'
import { documentEnding, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { publishCredentials, readCredentials, withdrawCredentials } from './credentials-files.ts'
import { makeMountFolder, removeMountFolder } from './mount-folder.ts'
import { waitUntilReady, type VolumeSettings } from './volume.ts'

const DOCUMENT = documentEnding(Date.UTC(2026, 0, 1))
const TEXT = formatCredentialDocument(DOCUMENT)
const TARGET = { podUid: POD.uid, volume: 'nocreds' }
const asRoot = isRoot ? test : test.skip

let folder: string
let kubelet: DriverKubelet
let settings: VolumeSettings
/** The emptyDir of the pod. */
let volume: string
/** Something outside that an attacker wants to be written. */
let treasure: string

const now = { clock: realClock, signal: AbortSignal.timeout(60_000), timeoutMs: 0 }
const prepare = (fsGroup?: number): Promise<void> =>
  kubelet.preparePod(POD, {
    emptyDir: VOLUME.name,
    csi: TARGET.volume,
    ...(fsGroup === undefined ? {} : { fsGroup }),
  })
const publish = (): Promise<void> => publishCredentials(VOLUME, DOCUMENT, settings)
const codeOfPublish = async (): Promise<unknown> => thrownBy(publish)

beforeEach(async () => {
  process.umask(0)
  folder = await makeMemoryFolder()
  await makeKubeletFolders(folder, 'csi.nocreds.dev')
  kubelet = startDriverKubelet({ folder, driver: 'csi.nocreds.dev', release: '1.37' })
  settings = await volumeSettings(kubelet.podsFolder)
  volume = join(kubelet.podsFolder, POD.uid, 'volumes/kubernetes.io~empty-dir', VOLUME.name)
  treasure = join(folder, 'treasure')
  await writeFile(treasure, 'gold', { mode: 0o666 })
})
afterEach(async () => {
  expect(await readFile(treasure, 'utf8')).toBe('gold')
  await removeFolder(folder)
})

describe('a pod’s volume', () => {
  beforeEach(() => prepare())

  test('gets what the sidecar writes for `delivery: process`', async () => {
    await publish()
    expect((await readdir(volume)).sort()).toEqual(['config', 'credentials.json'])
    expect(await readFile(join(volume, 'credentials.json'), 'utf8')).toBe(TEXT)
    expect(await readFile(join(volume, 'config'), 'utf8')).toBe(
      awsConfigFile(CREDENTIALS_VOLUME.mountPath),
    )
    for (const name of await readdir(volume)) {
      expect((await stat(join(volume, name))).mode & 0o777).toBe(0o644)
    }
  })

  test('is read again after a restart, and cleared of what was half-written', async () => {
    await publish()
    const [own, foreign] = ['.credentials.json.0123456789ab', '.app.0123456789ab']
    for (const name of [own, foreign]) await writeFile(join(volume, name), 'half')
    expect(await readCredentials(VOLUME, settings)).toEqual(DOCUMENT)
    expect((await readdir(volume)).sort()).toEqual([foreign, 'config', 'credentials.json'])
  })

  test('without credentials after a withdrawal; the config file stays', async () => {
    await publish()
    await withdrawCredentials(VOLUME, settings)
    await withdrawCredentials(VOLUME, settings)
    expect(await readCredentials(VOLUME, settings)).toBeUndefined()
    expect(await readdir(volume)).toEqual(['config'])
    await kubelet.removePod(POD)
    await withdrawCredentials(VOLUME, settings) // the kubelet was faster
  })

  test.each([
    ['text', (path: string) => writeFile(path, 'no document')],
    ['a file that is too large', (path: string) => writeFile(path, 'x'.repeat(20_000))],
    [
      'a link to a document',
      async (path: string) => {
        await writeFile(join(folder, 'stolen'), TEXT)
        await symlink(join(folder, 'stolen'), path)
      },
    ],
    ['a folder', (path: string) => mkdir(path)],
    ['a fifo, which blocks who opens it', (path: string) => execFileSync('mkfifo', [path])],
  ])('reads %s as nothing', async (_what, make) => {
    await make(join(volume, 'credentials.json'))
    expect(await readCredentials(VOLUME, settings)).toBeUndefined()
  })

  asRoot('reads a file of someone else as nothing', async () => {
    await publish()
    await chown(join(volume, 'credentials.json'), 1000, 1000)
    expect(await readCredentials(VOLUME, settings)).toBeUndefined()
  })
})

describe('what an attacker has put in the place of our files', () => {
  beforeEach(() => prepare())

  test.each([
    ['a link to a file', (path: string) => symlink(treasure, path)],
    ['a link to a file that does not exist', (path: string) => symlink(`${folder}/new`, path)],
    ['a link to a folder', (path: string) => symlink(folder, path)],
    ['a hard link', (path: string) => link(treasure, path)],
    ['a fifo', (path: string) => execFileSync('mkfifo', [path])],
    ['a file', (path: string) => writeFile(path, 'theirs', { mode: 0o600 })],
  ])('%s is replaced, not followed', async (_what, make) => {
    for (const name of ['config', 'credentials.json']) await make(join(volume, name))
    const before = (await readdir(folder)).sort()
    await publish()
    expect(await readCredentials(VOLUME, settings)).toEqual(DOCUMENT)
    expect((await readdir(folder)).sort()).toEqual(before)
    expect((await readdir(volume)).sort()).toEqual(['config', 'credentials.json'])
  })

  test('a folder stays, with all that is in it, and is an error that names it', async () => {
    await mkdir(join(volume, 'credentials.json/within'), { recursive: true })
    expect(await codeOfPublish()).toMatchObject({
      code: 'ERR_VOLUME_OCCUPIED',
      message: expect.stringContaining(`${volume}/credentials.json is a folder`) as unknown,
    })
    expect(await thrownBy(() => withdrawCredentials(VOLUME, settings))).toMatchObject({
      code: 'ERR_VOLUME_OCCUPIED',
    })
    expect((await readdir(volume, { recursive: true })).sort()).toEqual([
      'config',
      'credentials.json',
      'credentials.json/within',
    ])
  })

  test('a link in the place of the volume is not followed', async () => {
    await rename(volume, `${volume}-away`)
    await mkdir(join(folder, 'elsewhere'))
    await symlink(join(folder, 'elsewhere'), volume)
    expect(await codeOfPublish()).toMatchObject({ code: 'ERR_VOLUME_OCCUPIED' })
    expect(await readdir(join(folder, 'elsewhere'))).toEqual([])
  })

  asRoot('a volume of someone else is not entered', async () => {
    await chown(volume, 1000, 1000)
    expect(await codeOfPublish()).toMatchObject({ code: 'ERR_VOLUME_OCCUPIED' })
    expect(await readdir(volume)).toEqual([])
  })
})

describe('readiness', () => {
  const wait = (timeoutMs = 0): Promise<void> =>
    waitUntilReady(VOLUME, settings, { ...now, timeoutMs })
  const ready = (): string =>
    join(kubelet.podsFolder, POD.uid, 'plugins/kubernetes.io~empty-dir', VOLUME.name, 'ready')
  const notReady = { code: 'ERR_VOLUME_NOT_READY', hint: expect.anything() as unknown }

  test('comes when the kubelet has written its file', async () => {
    expect(await thrownBy(() => wait())).toMatchObject({ code: 'ERR_VOLUME_NOT_READY' })
    const waiting = wait(30_000)
    await prepare()
    await waiting
  })

  test('is not there with a file of before the mount; what we wrote shows that it was', async () => {
    await prepare()
    await utimes(ready(), 1, 1)
    expect(await thrownBy(() => wait())).toMatchObject(notReady)
    await publish()
    await wait()
  })

  test('needs a volume in memory, also for writing', async () => {
    await prepare()
    settings = strictly(settings) // a folder of a tmpfs is not a mount
    expect(await thrownBy(() => wait())).toMatchObject(notReady)
    expect(await codeOfPublish()).toMatchObject(notReady)
    expect(await readdir(volume)).toEqual([])
  })

  // On machines that let us mount; elsewhere the test above has only the injected check.
  test('of a real tmpfs, which no descriptor keeps from being unmounted', async () => {
    await mkdir(volume, { recursive: true })
    const mounted = mountTmpfs(volume)
    if (mounted === undefined) return
    try {
      await prepare()
      settings = strictly(settings)
      await wait()
      await publish()
      expect(await readCredentials(VOLUME, settings)).toEqual(DOCUMENT)
    } finally {
      mounted.unmount()
    }
    expect(await readdir(volume)).toEqual([])
    expect(await codeOfPublish()).toMatchObject(notReady)
  })

  test('ends early with its signal', async () => {
    const patience = { clock: realClock, signal: AbortSignal.abort(), timeoutMs: 1e9 }
    expect(await thrownBy(() => waitUntilReady(VOLUME, settings, patience))).toMatchObject({
      code: 'ERR_VOLUME_NOT_READY',
    })
  })
})

describe('the folder at target_path', () => {
  beforeEach(() => prepare())
  const path = (): string =>
    join(kubelet.podsFolder, POD.uid, 'volumes/kubernetes.io~csi/nocreds/mount')

  test('is made and removed, however often', async () => {
    for (let time = 0; time < 2; time += 1) await makeMountFolder(TARGET, settings)
    expect((await stat(path())).mode & 0o777).toBe(0o755)
    for (let time = 0; time < 2; time += 1) await removeMountFolder(TARGET, settings)
    expect(await thrownBy(() => stat(path()))).toMatchObject({ code: 'ENOENT' })
    await kubelet.removePod(POD)
    await removeMountFolder(TARGET, settings)
  })

  test('is not a link, and nothing in it is removed', async () => {
    await symlink(folder, path())
    const occupied = { code: 'ERR_VOLUME_OCCUPIED' }
    expect(await thrownBy(() => makeMountFolder(TARGET, settings))).toMatchObject(occupied)
    expect(await thrownBy(() => removeMountFolder(TARGET, settings))).toMatchObject(occupied)
    await rename(path(), `${path()}-away`)
    await mkdir(join(path(), 'within'), { recursive: true })
    expect(await thrownBy(() => removeMountFolder(TARGET, settings))).toMatchObject(occupied)
    expect(await readdir(path())).toEqual(['within'])
  })
})
