import { chown, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readCertificate as readAsSidecar } from '../../exchanger/publish/tls-folder.ts'
import {
  makeKubeletFolders,
  startDriverKubelet,
  type DriverKubelet,
} from '../../test/fakes/driver-kubelet.ts'
import { POD } from '../../test/fakes/driver-samples.ts'
import {
  isRoot,
  makeMemoryFolder,
  removeFolder,
  VOLUME,
  volumeSettings,
} from '../../test/fakes/driver-volumes.ts'
import { certificateIssued } from '../../test/fakes/exchanger-certificates.ts'
import { thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { publishCertificate, readCertificate, withdrawCertificate } from './tls-files.ts'
import type { VolumeSettings } from './volume.ts'

const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const GROUP = 2000
const asRoot = isRoot ? test : test.skip

let folder: string
let kubelet: DriverKubelet
let settings: VolumeSettings
/** The folder in the volume that the app sees. */
let published: string

const prepare = (fsGroup?: number): Promise<void> =>
  kubelet.preparePod(POD, {
    emptyDir: VOLUME.name,
    csi: 'nocreds',
    ...(fsGroup === undefined ? {} : { fsGroup }),
  })
const publish = (hours = 1): Promise<void> =>
  publishCertificate(VOLUME, certificateIssued(NOW, hours * HOUR), settings, NOW)
const entries = async (): Promise<string[]> => (await readdir(published)).sort()
/** Name of the n-th generation. */
const gen = (n: number): string => `..gen-${NOW + n}`
const LINKS = ['ca.crt', 'tls.crt', 'tls.key']

beforeEach(async () => {
  process.umask(0)
  folder = await makeMemoryFolder()
  await makeKubeletFolders(folder, 'csi.nocreds.dev')
  kubelet = startDriverKubelet({ folder, driver: 'csi.nocreds.dev', release: '1.37' })
  settings = await volumeSettings(kubelet.podsFolder)
  const volume = join(kubelet.podsFolder, POD.uid, 'volumes/kubernetes.io~empty-dir', VOLUME.name)
  published = join(volume, 'published')
})
afterEach(() => removeFolder(folder))

describe('a certificate', () => {
  test('stands there as the sidecar writes it, and is read again after a restart', async () => {
    await prepare()
    await publish()
    const document = certificateIssued(NOW, HOUR)
    expect(await entries()).toEqual(['..data', gen(1), ...LINKS])
    expect(await readAsSidecar(published)).toEqual(document)
    expect(await readCertificate(VOLUME, settings)).toEqual(document)
    expect(await readFile(join(published, 'tls.key'), 'utf8')).toBe(document.key)
    for (const name of LINKS) {
      expect((await stat(join(published, name))).mode & 0o777).toBe(0o644)
    }
  })

  test('stays for one renewal, and is withdrawn with all files of the driver', async () => {
    await prepare()
    for (let hours = 1; hours <= 4; hours += 1) await publish(hours)
    expect(await entries()).toEqual(['..data', gen(3), gen(4), ...LINKS])
    await withdrawCertificate(VOLUME, settings)
    expect(await entries()).toEqual([])
    expect(await readCertificate(VOLUME, settings)).toBeUndefined()
  })

  asRoot('has a key for the pod’s fsGroup alone', async () => {
    await prepare(GROUP)
    await publish()
    const { mode, uid, gid } = await stat(join(published, 'tls.key'))
    expect([mode & 0o777, uid, gid]).toEqual([0o640, 0, GROUP])
    const generation = await stat(join(published, gen(1)))
    expect([generation.mode & 0o7777, generation.gid]).toEqual([0o2755, GROUP])
    expect((await stat(join(published, 'ca.crt'))).mode & 0o777).toBe(0o644)
  })

  test('replaces what a killed process left half-made', async () => {
    await prepare()
    await publish(1)
    await mkdir(join(published, gen(2)))
    await writeFile(join(published, gen(2), '.tls.key.0123456789ab'), 'half')
    await symlink('nowhere', join(published, '...data.0123456789ab'))
    expect(await readCertificate(VOLUME, settings)).toEqual(certificateIssued(NOW, HOUR))
    await publish(2)
    expect(await entries()).toEqual(['..data', gen(1), gen(3), ...LINKS])
  })
})

describe('what an attacker has put there', () => {
  beforeEach(() => prepare())

  test('links are replaced, not followed', async () => {
    await publish(1)
    const outside = join(folder, 'outside')
    await mkdir(outside)
    for (const name of ['..data', 'tls.key', 'ca.crt']) {
      await rename(join(published, name), join(outside, name))
      await symlink(outside, join(published, name))
    }
    const before = await readdir(outside)
    expect(await readCertificate(VOLUME, settings)).toBeUndefined()
    await publish(2)
    expect(await readAsSidecar(published)).toEqual(certificateIssued(NOW, 2 * HOUR))
    expect(await readdir(outside)).toEqual(before)
  })

  test('a link in the place of the folder, or of a generation, is an error', async () => {
    await mkdir(join(folder, 'outside'))
    await symlink(join(folder, 'outside'), published)
    expect(await thrownBy(() => publish())).toMatchObject({ code: 'ERR_VOLUME_OCCUPIED' })
    await rename(published, `${published}-away`)
    await mkdir(published)
    await symlink(join(folder, 'outside'), join(published, gen(5)))
    await publish() // beside it
    expect(await readdir(join(folder, 'outside'))).toEqual([])
    expect(await thrownBy(() => withdrawCertificate(VOLUME, settings))).toMatchObject({
      code: 'ERR_VOLUME_OCCUPIED',
    })
  })

  asRoot('a generation of someone else is neither entered nor removed', async () => {
    await mkdir(join(published, gen(5)), { recursive: true })
    await writeFile(join(published, gen(5), 'tls.key'), 'theirs')
    await chown(join(published, gen(5)), 1000, 1000)
    for (let hours = 1; hours <= 3; hours += 1) await publish(hours)
    expect(await readFile(join(published, gen(5), 'tls.key'), 'utf8')).toBe('theirs')
    expect(await readCertificate(VOLUME, settings)).toEqual(certificateIssued(NOW, 3 * HOUR))
  })

  test('a folder that is not empty stays', async () => {
    await publish()
    await mkdir(join(published, gen(1), 'theirs'))
    expect(await thrownBy(() => withdrawCertificate(VOLUME, settings))).toMatchObject({
      code: 'ERR_VOLUME_OCCUPIED',
    })
    expect(await readdir(join(published, gen(1)))).toEqual(['theirs'])
  })
})
