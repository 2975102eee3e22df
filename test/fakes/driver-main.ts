/**
 * Test double: the lower parts of the driver as a program, which publishes the same credentials to every
 * pod instead of exchanging tokens. Never shipped.
 *
 * Arguments: the kubelet's folder, the name of the driver.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { startDriverServer } from '../../driver/csi/server.ts'
import {
  publishCredentials,
  readCredentials,
  withdrawCredentials,
} from '../../driver/files/credentials-files.ts'
import { makeMountFolder, removeMountFolder } from '../../driver/files/mount-folder.ts'
import { waitUntilReady, type VolumeSettings } from '../../driver/files/volume.ts'
import { checkPublishRequest, checkUnpublishRequest } from '../../driver/publish-request.ts'
import { realClock } from '../../shared/base/clock.ts'
import { jsonLogger } from '../../shared/base/log.ts'

const [kubelet = '', driver = ''] = process.argv.slice(2)
const podsFolder = join(kubelet, 'pods')
const log = jsonLogger(
  (line) => process.stdout.write(line),
  () => realClock.now(),
)

process.umask(0)
const settings: VolumeSettings = {
  podsFolder,
  ownerId: process.getuid?.() ?? 0,
  uniqueName: () => randomBytes(6).toString('hex'),
  isMemoryMount: () => Promise.resolve(true), // tests need no mount
}
const volumeOf = (podUid: string): { podUid: string; name: string } => ({
  podUid,
  name: 'nocreds-credentials',
})

const server = await startDriverServer({
  driver,
  version: 'test',
  node: 'testbed-node',
  socket: join(kubelet, 'plugins', driver, 'csi.sock'),
  socketOnHost: join(kubelet, 'plugins', driver, 'csi.sock'),
  registrationSocket: join(kubelet, 'plugins_registry', `${driver}-reg.sock`),
  handler: {
    async publish(request, signal) {
      const { pod, target } = checkPublishRequest(request, podsFolder)
      const volume = volumeOf(pod.uid)
      await waitUntilReady(volume, settings, { clock: realClock, signal })
      const found = await readCredentials(volume, settings)
      await publishCredentials(
        volume,
        {
          Version: 1,
          AccessKeyId: 'KEY',
          SecretAccessKey: 'secret',
          SessionToken: 'session'.repeat(100),
          Expiration: '2026-01-01T00:00:00Z',
          AccountId: '111122223333',
        },
        settings,
      )
      await makeMountFolder(target, settings)
      log.info({ pod: pod.name, again: found !== undefined }, 'published')
    },
    async unpublish(request) {
      const target = checkUnpublishRequest(request, podsFolder)
      await withdrawCredentials(volumeOf(target.podUid), settings)
      await removeMountFolder(target, settings)
    },
  },
  isReady: () => true,
  clock: realClock,
  log,
})
process.on('SIGTERM', () => {
  void server.stop().then(() => process.exit(0))
})
