import { execFileSync } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { makeKubeletFolders, startDriverKubelet } from '../../test/fakes/driver-kubelet.ts'
import { POD } from '../../test/fakes/driver-samples.ts'
import { isRoot, makeMemoryFolder, removeFolder, VOLUME } from '../../test/fakes/driver-volumes.ts'

/** Publishes as the shipped driver does: uid 0, gid 0 and no capability at all. */
const PUBLISHER = `
  const [{ publishCredentials }, { publishCertificate, withdrawCertificate }, { makeMountFolder, removeMountFolder },
    { volumeSettings, VOLUME }, { documentEnding }, { certificateIssued }] =
    await Promise.all(process.argv.slice(1, 7).map((path) => import(path)))
  process.umask(0)
  const settings = await volumeSettings(process.argv[7])
  const target = { podUid: VOLUME.podUid, volume: 'nocreds' }
  const { readFileSync } = await import('node:fs')
  if (!/^CapEff:\\s*0+$/m.test(readFileSync('/proc/self/status', 'utf8'))) throw new Error('capable')
  for (let turn = 0; turn < 4; turn += 1) {
    await publishCredentials(VOLUME, documentEnding(4e12), settings)
    await publishCertificate(VOLUME, certificateIssued(1, 2), settings, 5)
    await makeMountFolder(target, settings)
  }
  await removeMountFolder(target, settings)
  `

const MODULES = [
  './credentials-files.ts',
  './tls-files.ts',
  './mount-folder.ts',
  '../../test/fakes/driver-volumes.ts',
  '../../test/fakes/exchanger-samples.ts',
  '../../test/fakes/exchanger-certificates.ts',
]

/** Where tests are root, as in the image that runs them. */
const asRoot = isRoot ? test : test.skip

asRoot('no capability is needed, and files get the group of the volume', async () => {
  const folder = await makeMemoryFolder()
  try {
    await makeKubeletFolders(folder, 'csi.nocreds.dev')
    const kubelet = startDriverKubelet({
      folder,
      driver: 'csi.nocreds.dev',
      release: '1.37',
    })
    await kubelet.preparePod(POD, { emptyDir: VOLUME.name, csi: 'nocreds', fsGroup: 2000 })
    const modules = MODULES.map((path) => new URL(path, import.meta.url).toString())
    const node = [process.execPath, '--input-type=module', '--eval', PUBLISHER]
    const noCapability = ['--bounding-set=-all', '--inh-caps=-all']
    execFileSync('setpriv', [...noCapability, ...node, ...modules, kubelet.podsFolder])

    const pod = join(kubelet.podsFolder, POD.uid, 'volumes')
    const volume = join(pod, 'kubernetes.io~empty-dir', VOLUME.name)
    expect((await readdir(volume)).sort()).toEqual(['config', 'credentials.json', 'published'])
    const of = async (name: string): Promise<number[]> => {
      const { mode, uid, gid } = await stat(join(volume, name))
      return [mode & 0o7777, uid, gid]
    }
    expect(await of('credentials.json')).toEqual([0o644, 0, 2000])
    expect(await of('published')).toEqual([0o2755, 0, 2000])
    expect(await of('published/tls.key')).toEqual([0o640, 0, 2000])
    expect(await readdir(join(pod, 'kubernetes.io~csi/nocreds'))).toEqual([])
  } finally {
    await removeFolder(folder)
  }
})
