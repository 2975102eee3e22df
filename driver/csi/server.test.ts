import { once } from 'node:events'
import { lstat, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { realClock } from '../../shared/base/clock.ts'
import { NocredsError } from '../../shared/base/errors.ts'
import {
  KUBELETS,
  makeKubeletFolders,
  startDriverKubelet,
  type DriverKubelet,
} from '../../test/fakes/driver-kubelet.ts'
import { claimsOf, POD, unsignedToken } from '../../test/fakes/driver-samples.ts'
import { eventually } from '../../test/fakes/eventually.ts'
import { collectingLog, thrownBy } from '../../test/fakes/exchanger-samples.ts'
import { DriverError } from '../errors.ts'
import { checkPublishRequest } from '../publish-request.ts'
import type { NodePublishRequest } from './methods.ts'
import { startDriverServer, type DriverServer, type DriverServerOptions } from './server.ts'

const DRIVER = 'csi.nocreds.dev'
const PUBLISH = {
  volume: 'nocreds',
  attributes: { 'role-arn': 'arn:aws:iam::111122223333:role/app' },
  tokens: { 'sts.amazonaws.com': unsignedToken(claimsOf(POD)) },
}

let folder: string
let kubelet: DriverKubelet
let server: DriverServer
let lines: ReturnType<typeof collectingLog>['lines']
/** What the handler does in this test. */
let onPublish: (request: NodePublishRequest, signal: AbortSignal) => void | Promise<void>

async function start(changes: Partial<DriverServerOptions> = {}): Promise<DriverServer> {
  const log = collectingLog()
  lines = log.lines
  server = await startDriverServer({
    driver: DRIVER,
    version: '0.1.0',
    node: 'node-1',
    socket: kubelet.sockets.csi,
    socketOnHost: '/var/lib/kubelet/plugins/csi.nocreds.dev/csi.sock',
    registrationSocket: kubelet.sockets.registration,
    handler: {
      publish: async (request, signal) => {
        await onPublish(request, signal)
      },
      unpublish: () => Promise.resolve(),
    },
    isReady: () => true,
    clock: realClock,
    log: log.log,
    ...changes,
  })
  return server
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-driver-'))
  await makeKubeletFolders(folder, DRIVER)
  kubelet = startDriverKubelet({ folder, driver: DRIVER, release: '1.37' })
  onPublish = () => undefined
})
afterEach(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

describe.each(['1.30', '1.37'] as const)('a kubelet of release %s', (release) => {
  beforeEach(async () => {
    kubelet = startDriverKubelet({ folder, driver: DRIVER, release })
    await start()
  })

  test('finds the driver and registers it, with the path of its socket on the host', async () => {
    expect(server.isRegistered()).toBe(false)
    expect(await kubelet.register()).toEqual({
      type: 'CSIPlugin',
      name: DRIVER,
      endpoint: '/var/lib/kubelet/plugins/csi.nocreds.dev/csi.sock',
      supportedVersions: ['1.0.0'],
    })
    expect(server.isRegistered()).toBe(true)
  })

  test('publishes with a request that the checks accept', async () => {
    let tokens: string[] = []
    onPublish = (request) => {
      tokens = [...checkPublishRequest(request, kubelet.podsFolder).tokens.keys()]
      expect(request.secrets.size).toBe(KUBELETS[release].tokensIn === 'secrets' ? 1 : 0)
    }
    await kubelet.publish(POD, PUBLISH)
    expect(tokens).toEqual(['sts.amazonaws.com'])
    await kubelet.unpublish(POD, 'nocreds')
  })

  test('asks what the driver is and can', async () => {
    const answers = {
      'Identity/GetPluginInfo': { name: DRIVER, vendorVersion: '0.1.0' },
      'Identity/GetPluginCapabilities': {},
      'Identity/Probe': { ready: { value: true } },
      'Node/NodeGetCapabilities': {},
      'Node/NodeGetInfo': { nodeId: 'node-1' },
    }
    for (const [path, answer] of Object.entries(answers)) {
      expect(await kubelet.call(`/csi.v1.${path}`)).toEqual(answer)
    }
  })
})

test('a registration that the kubelet refuses is logged', async () => {
  await start()
  const refused = { pluginRegistered: false, error: 'no such version' }
  await kubelet.call('/pluginregistration.Registration/NotifyRegistrationStatus', refused)
  expect(server.isRegistered()).toBe(false)
  expect(lines).toMatchObject([{ level: 'error', error: 'no such version' }])
})

describe('an error', () => {
  class OtherError extends NocredsError {}
  const failWith = async (thrown: unknown): Promise<unknown> => {
    await start()
    onPublish = () => {
      throw thrown as Error
    }
    return thrownBy(() => kubelet.publish(POD, PUBLISH))
  }

  test.each([
    ['ERR_REQUEST', status.INVALID_ARGUMENT],
    ['ERR_TOKEN_POD', status.PERMISSION_DENIED],
    ['ERR_VOLUME_NOT_READY', status.UNAVAILABLE],
    ['ERR_VOLUME', status.INTERNAL],
  ] as const)('%s has its status', async (name, code) => {
    const error = new DriverError(name, 'a message', { hint: 'what to do' })
    expect(await failWith(error)).toMatchObject({ code, details: 'a message; what to do' })
  })

  test('of another part of nocreds is told with its code, as INTERNAL', async () => {
    const error = new OtherError('toString', 'STS refused')
    expect(await failWith(error)).toMatchObject({
      code: status.INTERNAL,
      details: 'toString: STS refused',
    })
  })

  test('is told in one line of bounded length, whatever is in it', async () => {
    const words = `a\r\nb\u2028${'x'.repeat(793)}😀${'x'.repeat(5000)}`
    const { details } = (await failWith(new DriverError('ERR_REQUEST', words))) as {
      details: string
    }
    expect(details).toMatch(/^a b x{793}.*…$/)
    expect(details).toHaveLength(800)
  })

  test('of any other kind is neither told nor logged with its words', async () => {
    const { volumeContext } = { volumeContext: PUBLISH.tokens['sts.amazonaws.com'] }
    const error = await failWith(new TypeError(`broken: ${volumeContext}`))
    expect(error).toMatchObject({ code: status.INTERNAL })
    expect(String(error) + JSON.stringify(lines)).not.toContain('broken')
    expect(lines).toMatchObject([{ level: 'error', name: 'TypeError' }])
  })
})

describe('bounds', () => {
  test('a message that is too large never reaches the handler', async () => {
    await start()
    onPublish = () => {
      throw new Error('reached')
    }
    const attributes = { a: 'x'.repeat(262_144) }
    const error = await thrownBy(() => kubelet.publish(POD, { ...PUBLISH, attributes }))
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
  })

  test('bytes that are no message never reach the handler', async () => {
    await start()
    onPublish = () => {
      throw new Error('reached')
    }
    const overrides = { targetPath: '\ud800' } // which is no UTF-8
    expect(await thrownBy(() => kubelet.publish(POD, { ...PUBLISH, overrides }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'the request is not a message of the protocol',
    })
  })

  test('calls beyond the bound are refused, and later ones are not', async () => {
    await start({ limits: { maxConcurrent: 2, timeoutMs: 20_000 } })
    const waiting: (() => void)[] = []
    onPublish = () => new Promise((resolve) => waiting.push(resolve))
    const held = [kubelet.publish(POD, PUBLISH), kubelet.publish(POD, PUBLISH)]
    await eventually(() => waiting.length === 2)
    expect(await thrownBy(() => kubelet.publish(POD, PUBLISH))).toMatchObject({
      code: status.UNAVAILABLE,
    })
    for (const resolve of waiting) resolve()
    await Promise.all(held)
    onPublish = () => undefined
    await kubelet.publish(POD, PUBLISH)
  })

  test('a call that takes too long is answered, and its signal says so', async () => {
    await start({ limits: { maxConcurrent: 1, timeoutMs: 50 } })
    let aborted = false
    onPublish = (_request, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted = true
          resolve()
        })
      })
    const error = await thrownBy(() => kubelet.publish(POD, PUBLISH))
    expect(error).toMatchObject({ code: status.UNAVAILABLE })
    expect(aborted).toBe(true)
  })
})

describe('the sockets', () => {
  test('only their owner may connect', async () => {
    await start()
    for (const path of Object.values(kubelet.sockets)) {
      const found = await lstat(path)
      expect([found.isSocket(), found.mode & 0o777]).toEqual([true, 0o600])
    }
  })

  test('one that a killed process left is replaced', async () => {
    const stale = createServer().listen(join(folder, 'stale'))
    await once(stale, 'listening')
    await rename(join(folder, 'stale'), kubelet.sockets.csi)
    stale.close()
    await start()
    await kubelet.publish(POD, PUBLISH)
  })

  test.each([
    ['file', (path: string) => writeFile(path, 'theirs')],
    ['link', (path: string) => symlink('/nowhere', path)],
  ])('a %s of that name stays, and nothing starts', async (_what, make) => {
    await start()
    await server.stop()
    await make(kubelet.sockets.registration)
    expect(await thrownBy(() => start())).toMatchObject({ code: 'ERR_SOCKET' })
    expect((await lstat(kubelet.sockets.registration)).isSocket()).toBe(false)
    expect(await readdir(join(folder, 'plugins', DRIVER))).toEqual([])
  })

  test('are gone after a stop, unless another process has taken them', async () => {
    await start()
    const first = server
    await start()
    await first.stop()
    await kubelet.register()
    await server.stop()
    expect(await readdir(join(folder, 'plugins_registry'))).toEqual([])
    expect(await readdir(join(folder, 'plugins', DRIVER))).toEqual([])
  })

  test('a stop lets a call that is under way end', async () => {
    await start()
    let release = (): void => undefined
    onPublish = () => new Promise((resolve) => (release = resolve))
    const publish = kubelet.publish(POD, PUBLISH)
    await eventually(() => release.toString() !== (() => undefined).toString())
    const stopped = server.stop()
    release()
    await Promise.all([publish, stopped])
  })
})
