/** The programs of examples/mutual-tls, as they stand, as real processes on loopback; needs no cluster. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { spiffeId } from '../../contract/certificates.ts'
import { freePort } from '../../test/fakes/free-port.ts'
import { hostOf } from '../support/host.ts'
import {
  callOnce,
  startApp,
  startTlsServer,
  type Answer,
  type Listening,
} from '../support/loopback.ts'
import type { Program } from '../support/program.ts'
import { waitFor } from '../support/wait.ts'
import { prepareExamples, type ClientName, type Examples, type ServerName } from './examples.ts'
import { createGenerations, type Generations } from './generations.ts'
import { createPki, type Pki, type TlsFiles } from './pki.ts'

const CLIENT = spiffeId('cluster.local', 'team-a', 'client')
const SERVER = {
  id: spiffeId('cluster.local', 'team-a', 'server'),
  dnsNames: ['server.team-a.svc', 'localhost'],
}
/** What a loaded machine may take; a working pair takes far less. */
const LIMIT_MS = 60_000

let root: string
let examples: Examples
let pki: Pki
let strangers: Pki
let app: Listening
let successor: Pki
let bothCas: string
let good: TlsFiles
let folders = 0
const running: Program[] = []

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'nocreds-examples-'))
  const host = hostOf(process.env, (line) => process.stdout.write(line))
  examples = await prepareExamples(host, newFolder())
  pki = await createPki(host, newFolder())
  strangers = await createPki(host, newFolder())
  successor = await createPki(host, newFolder())
  app = await startApp()
  good = await pki.issue({ id: CLIENT })
  bothCas = good.trustBundle + (await successor.issue(SERVER)).trustBundle
}, 600_000)

afterEach(stopAll)

afterAll(async () => {
  await stopAll()
  app.close()
  await rm(root, { recursive: true, force: true })
})

async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((program) => program.stop()))
}

function newFolder(): string {
  folders += 1
  return join(root, `${folders}`)
}

interface RunningServer {
  readonly port: number
  readonly own: Generations
  readonly call: (caller: TlsFiles | undefined) => Promise<Answer>
}

async function startServer(name: ServerName): Promise<RunningServer> {
  const own = await createGenerations(newFolder(), await pki.issue(SERVER))
  const port = await freePort()
  const programs = await examples.startServer(name, {
    tlsFolder: own.folder,
    port,
    allowed: CLIENT,
    appPort: app.port,
    workFolder: newFolder(),
  })
  running.push(...programs)
  const call = (caller: TlsFiles | undefined): Promise<Answer> =>
    callOnce(port, 'server.team-a.svc', bothCas, caller)
  await waitFor(`an answer of ${name}`, LIMIT_MS, async () => {
    try {
      return await call(good)
    } catch (error) {
      throw new Error(programs.map((one) => one.complaints()).join(), { cause: error })
    }
  })
  return { port, own, call }
}

interface RunningClient {
  readonly own: Generations
  readonly lines: readonly string[]
  /** The first line, or as many more as are asked for. */
  readonly more: (count: number) => Promise<void>
}

async function startClient(
  name: ClientName,
  port: number,
  files: TlsFiles,
): Promise<RunningClient> {
  const own = await createGenerations(newFolder(), files)
  const url = `https://localhost:${port}/`
  const program = examples.startClient(name, { tlsFolder: own.folder, url, serverId: SERVER.id })
  running.push(program)
  const { lines } = program
  const more = async (count: number): Promise<void> => {
    const wanted = lines.length + count
    await waitFor(`${count} more calls of ${name}`, LIMIT_MS, () => {
      if (lines.length < wanted) throw new Error(program.complaints())
      return Promise.resolve(true)
    })
  }
  return { own, lines, more }
}

describe.each<ServerName>(['node', 'go', 'python', 'nginx', 'envoy'])('server: %s', (name) => {
  test('accepts the allowed client and rejects all others', async () => {
    const { call } = await startServer(name)
    expect((await call(good)).body).toBe(`hello ${CLIENT}, certificate ${good.serial}\n`)
    const refused: Record<string, TlsFiles | undefined> = {
      'no certificate': undefined,
      'another CA': await strangers.issue({ id: CLIENT }),
      expired: await pki.issue({ id: CLIENT, isExpired: true }),
    }
    // nginx leaves the identity to the app: see its file.
    if (name !== 'nginx') refused['another workload'] = await pki.issue({ id: SERVER.id })
    for (const [what, caller] of Object.entries(refused)) {
      const said = await call(caller).then(
        ({ status }) => `${status}`,
        () => 'refused',
      )
      expect({ what, said }).toEqual({
        what,
        said: expect.stringMatching(/^(?:refused|400|403)$/) as unknown,
      })
    }
    expect((await call(good)).status).toBe(200)
  })
})

describe.each<ClientName>(['node', 'go', 'python'])('client: %s', (name) => {
  test('accepts the expected server and rejects all others', async () => {
    const { port } = await startServer('node')
    const right = await startClient(name, port, good)
    const other = await startClient(name, port, await pki.issue({ id: SERVER.id }))
    await Promise.all([right.more(1), other.more(1)])
    expect(right.lines[0]).toBe(`200 hello ${CLIENT}, certificate ${good.serial}`)
    expect(other.lines[0]).toMatch(/^403 /)
    const impostors: Record<string, TlsFiles> = {
      'another CA': await strangers.issue(SERVER),
      expired: await pki.issue({ ...SERVER, isExpired: true }),
      'another name': await pki.issue({ ...SERVER, dnsNames: ['other.team-a.svc'] }),
      'another workload': await pki.issue({ ...SERVER, id: CLIENT }),
    }
    for (const [what, files] of Object.entries(impostors)) {
      const server = await startTlsServer(files)
      try {
        const { lines, more } = await startClient(name, server.port, good)
        await more(1)
        expect({ what, said: lines[0] }).toEqual({
          what,
          said: expect.stringMatching(/^failed: .*certificate/i) as unknown,
        })
      } finally {
        server.close()
      }
    }
  })
})

test.each<[ServerName, ClientName]>([
  ['node', 'node'],
  ['node', 'go'],
  ['node', 'python'],
  ['go', 'go'],
  ['python', 'python'],
  ['nginx', 'go'],
  ['envoy', 'node'],
])(
  'server %s and client %s take up renewed certificates and a new CA, and no call fails',
  async (to, from) => {
    const server = await startServer(to)
    const client = await startClient(from, server.port, good)
    const renewServer = async (files: TlsFiles): Promise<void> => {
      await server.own.publish(files)
      await waitFor(`the new certificate of ${to}`, LIMIT_MS, async () =>
        (await server.call(good)).serial === files.serial ? true : undefined,
      )
    }
    const renewClient = async (files: TlsFiles): Promise<void> => {
      await client.own.publish(files)
      await waitFor(`the new certificate of ${from}`, LIMIT_MS, () =>
        Promise.resolve(
          client.lines.some((line) => line.includes(files.serial)) ? true : undefined,
        ),
      )
    }
    await client.more(10)

    await renewServer(await pki.issue(SERVER))
    await renewClient(await pki.issue({ id: CLIENT }))
    // The order of a change of CA: both sides accept the new one before anybody has a certificate of it.
    await renewServer({ ...(await pki.issue(SERVER)), trustBundle: bothCas })
    await renewClient({ ...(await pki.issue({ id: CLIENT })), trustBundle: bothCas })
    await renewServer({ ...(await successor.issue(SERVER)), trustBundle: bothCas })
    await renewClient(await successor.issue({ id: CLIENT }))
    await client.more(10)
    expect(client.lines.filter((line) => !line.startsWith('200 hello '))).toEqual([])
  },
)
