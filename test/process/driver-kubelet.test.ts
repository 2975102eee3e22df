import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  makeKubeletFolders,
  startDriverKubelet,
  type DriverKubelet,
} from '../fakes/driver-kubelet.ts'
import { claimsOf, POD, unsignedToken } from '../fakes/driver-samples.ts'
import { makeMemoryFolder, removeFolder } from '../fakes/driver-volumes.ts'
import { eventually } from '../fakes/eventually.ts'
import { thrownBy, type LogLine } from '../fakes/exchanger-samples.ts'
import { recordOutput } from '../leak-check.ts'

const DRIVER = 'csi.nocreds.dev'
const MAIN = join(import.meta.dirname, '../fakes/driver-main.ts')
const VOLUMES = { emptyDir: 'nocreds-credentials', csi: 'nocreds' }
const PUBLISH = {
  volume: VOLUMES.csi,
  attributes: { 'role-arn': 'arn:aws:iam::111122223333:role/app' },
  tokens: { 'sts.amazonaws.com': unsignedToken(claimsOf(POD)) },
}

let folder: string
let kubelet: DriverKubelet
let driver: ChildProcess
let lines: LogLine[]

function startDriver(): void {
  lines = []
  driver = spawn(process.execPath, [MAIN, folder, DRIVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  driver.stdout?.setEncoding('utf8').on('data', (text: string) => {
    recordOutput(text)
    for (const line of text.trimEnd().split('\n')) lines.push(JSON.parse(line) as LogLine)
  })
}
async function endDriver(signal: NodeJS.Signals): Promise<unknown> {
  const closed = once(driver, 'close')
  driver.kill(signal)
  return (await closed)[0]
}

beforeEach(async () => {
  folder = await makeMemoryFolder()
  await makeKubeletFolders(folder, DRIVER)
})
afterEach(async () => {
  if (driver.exitCode === null && driver.signalCode === null) await endDriver('SIGKILL')
  await removeFolder(folder)
})

describe.each(['1.30', '1.37'] as const)('with a kubelet of release %s', (release) => {
  beforeEach(() => {
    kubelet = startDriverKubelet({ folder, driver: DRIVER, release })
    startDriver()
  })

  test('a pod gets its credentials, once its volume is ready, and again and again', async () => {
    expect((await kubelet.register()).endpoint).toBe(kubelet.sockets.csi)
    const first = kubelet.publish(POD, PUBLISH) // the kubelet mounts volumes side by side
    await kubelet.preparePod(POD, VOLUMES)
    await first
    await kubelet.publish(POD, PUBLISH)
    const pod = join(kubelet.podsFolder, POD.uid, 'volumes')
    const file = join(pod, 'kubernetes.io~empty-dir', VOLUMES.emptyDir, 'credentials.json')
    expect(await readFile(file, 'utf8')).toContain('"AccessKeyId":"KEY"')
    expect(await readdir(join(pod, 'kubernetes.io~csi/nocreds'))).toEqual(['mount'])
    await kubelet.unpublish(POD, VOLUMES.csi)
    await kubelet.unpublish(POD, VOLUMES.csi)
    expect(await readdir(join(pod, 'kubernetes.io~csi/nocreds'))).toEqual([])
    await eventually(() => lines.filter(({ msg }) => msg === 'published').length === 2)
  })

  test('a driver that is killed comes back to its sockets and to what it published', async () => {
    await kubelet.register()
    await kubelet.preparePod(POD, VOLUMES)
    await kubelet.publish(POD, PUBLISH)
    await endDriver('SIGKILL')
    startDriver()
    await kubelet.register()
    await kubelet.publish(POD, PUBLISH)
    await eventually(() => lines.some(({ msg, again }) => msg === 'published' && again === true))
  })

  test('one that is told to end leaves no socket', async () => {
    await kubelet.register()
    expect(await endDriver('SIGTERM')).toBe(0)
    expect(await readdir(join(folder, 'plugins_registry'))).toEqual([])
    expect(await readdir(join(folder, 'plugins', DRIVER))).toEqual([])
  })

  test('the token of another pod is refused, in words for the pod’s events', async () => {
    await kubelet.register()
    await kubelet.preparePod(POD, VOLUMES)
    const token = unsignedToken(claimsOf({ ...POD, serviceAccount: 'admin' }))
    const publish = { ...PUBLISH, tokens: { 'sts.amazonaws.com': token } }
    expect(await thrownBy(() => kubelet.publish(POD, publish))).toMatchObject({
      details:
        'the token for "sts.amazonaws.com" is not of this pod: its claim serviceaccount.name is not app',
    })
  })
})
