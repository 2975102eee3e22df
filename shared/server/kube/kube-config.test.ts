/** Finding the cluster, and mutual authentication over TLS. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { closeAtOnce, listenOnLoopback } from '../../../test/fakes/loopback-server.ts'
import { createCa, issueLeaf, type Issued } from '../../../webhook/tls/certificates.ts'
import { createKubeClient, loadKubeConfig } from './kube.ts'

let folder: string
let before: { home: string | undefined; kubeConfig: string | undefined }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-kube-'))
  before = { home: process.env['HOME'], kubeConfig: process.env['KUBECONFIG'] }
  process.env['HOME'] = folder
  process.env['KUBECONFIG'] = join(folder, 'config')
})

afterEach(async () => {
  process.env['HOME'] = before.home
  if (before.kubeConfig === undefined) delete process.env['KUBECONFIG']
  else process.env['KUBECONFIG'] = before.kubeConfig
  await rm(folder, { recursive: true })
})

/** JSON is YAML. */
async function writeKubeConfig(cluster: object, more: object = {}): Promise<void> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token: 'token-of-the-webhook' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
    ...more,
  }
  await writeFile(join(folder, 'config'), JSON.stringify(config))
}

describe('without a cluster the program exits with what is allowed', () => {
  const allowed = /^no cluster: .*; allowed: KUBECONFIG, ~\/\.kube\/config, .* or --objects/

  test('no kubeconfig anywhere, outside of any pod', () => {
    delete process.env['KUBECONFIG']
    expect(loadKubeConfig).toThrow(allowed)
    expect(loadKubeConfig).toThrow('not https')
  })

  test('a kubeconfig that is not there', () => {
    expect(loadKubeConfig).toThrow(allowed)
    expect(loadKubeConfig).toThrow('ENOENT')
  })

  test.each([
    ['no kubeconfig', 'token-of-the-webhook'],
    ['no YAML', 'users: [{ user: { token: token-of-the-webhook }'],
  ])('a file that is %s; it is not quoted', async (_what, text) => {
    await writeFile(join(folder, 'config'), text)
    expect(loadKubeConfig).toThrow(allowed)
    expect(loadKubeConfig).not.toThrow('token-of-the-webhook')
  })

  test('no current context', async () => {
    await writeKubeConfig({ server: 'https://127.0.0.1:1' }, { 'current-context': '' })
    expect(loadKubeConfig).toThrow('no current context')
  })

  test('a server that is not https', async () => {
    await writeKubeConfig({ server: 'http://127.0.0.1:1' })
    expect(loadKubeConfig).toThrow('http://127.0.0.1:1, which is not https')
  })
})

describe('over TLS', () => {
  const VALIDITY = { nowMs: Date.now(), lifetimeSeconds: 600 }
  const NAMESPACE = { metadata: { name: 'team-a' } }
  let server: Server
  let url: string
  let ca: Issued
  let authorizations: (string | undefined)[]

  beforeEach(async () => {
    ca = await createCa(VALIDITY)
    const leaf = { ...VALIDITY, ca, dnsNames: [], ipAddresses: ['127.0.0.1'] }
    const { certPem: cert, keyPem: key } = await issueLeaf(leaf)
    authorizations = []
    server = createServer({ cert, key }, (request, response) => {
      authorizations.push(request.headers.authorization)
      response.end(JSON.stringify(NAMESPACE))
    })
    url = `https://127.0.0.1:${await listenOnLoopback(server, 0)}`
  })
  afterEach(() => closeAtOnce(server))

  const base64 = (text: string): string => Buffer.from(text).toString('base64')

  test('trusts the CA of the kubeconfig and sends its token', async () => {
    await writeKubeConfig({ server: url, 'certificate-authority-data': base64(ca.certPem) })
    const kube = createKubeClient(loadKubeConfig())
    expect(await kube.get('/api/v1/namespaces/team-a')).toEqual(NAMESPACE)
    expect(authorizations).toEqual(['Bearer token-of-the-webhook'])
  })

  test('keeps the connection, and opens another if the apiserver closed it', async () => {
    const connections: TLSSocket[] = []
    server.on('secureConnection', (socket) => connections.push(socket))
    await writeKubeConfig({ server: url, 'certificate-authority-data': base64(ca.certPem) })
    const kube = createKubeClient(loadKubeConfig())
    for (let call = 0; call < 5; call += 1) await kube.get('/api/v1/namespaces/team-a')
    expect(connections).toHaveLength(1)
    // Ends it without a word when the next call arrives, as one does whose idle time is just over.
    server.prependOnceListener('request', (request) => request.socket.destroy())
    expect(await kube.get('/api/v1/namespaces/team-a')).toEqual(NAMESPACE)
    expect(connections).toHaveLength(2)
  })

  test('trusts no other CA, and sends it no token', async () => {
    const other = await createCa(VALIDITY)
    await writeKubeConfig({ server: url, 'certificate-authority-data': base64(other.certPem) })
    const kube = createKubeClient(loadKubeConfig())
    await expect(kube.get('/api/v1/namespaces/team-a')).rejects.toMatchObject({ status: 0 })
    expect(authorizations).toEqual([])
  })
})
