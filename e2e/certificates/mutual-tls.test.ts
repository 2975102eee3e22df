/** Two Deployments in two namespaces talk mutual TLS with nothing but annotations, from each source. */
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { realClock } from '../../shared/base/clock.ts'
import { createCa, issueLeaf } from '../../webhook/tls/certificates.ts'
import { withTool } from '../airgap/host-tools.ts'
import {
  callOnce,
  createMember,
  filesOf,
  startClient,
  startServer,
  useSource,
  type Member,
  type Second,
} from '../support/certificates.ts'
import { closeSuite, openSuite, type Suite } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'

let suite: Suite

beforeAll(async () => {
  suite = await openSuite('mtls')
}, 120_000)

afterAll(async () => {
  await useSource(suite, 'auto')
  await closeSuite(suite)
}, 300_000)

describe.each(['auto', 'authority'] as const)('certificates from the source: %s', (source) => {
  let one: Member
  let other: Member
  let server: string
  let said: () => Promise<readonly Second[]>

  beforeAll(async () => {
    await useSource(suite, source)
    const names = `server.${suite.prefix}-${source}-one, server.mtls.example`
    one = await createMember(suite, `${source}-one`, { 'nocreds.dev/certificate-dns-names': names })
    other = await createMember(suite, `${source}-other`)
  }, 300_000)

  test('a name that the namespace does not permit is refused at once', async () => {
    const metadata = { name: 'refused', namespace: one.namespace }
    const spec = { serviceAccountName: 'app', containers: [{ name: 'app', image: 'none' }] }
    await expect(
      suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec }),
    ).rejects.toThrow(/does not permit name server\.mtls\.example/)
    await suite.kubectl([
      ...['annotate', 'namespace', one.namespace, '--overwrite'],
      'nocreds.dev/permitted-dns-names=server\\.mtls\\.example',
    ])
    const own = `server.${one.namespace},server.${one.namespace}.svc,server.mtls.example`
    await suite.kubectl([
      ...['annotate', 'serviceaccount', 'app', '--namespace', one.namespace, '--overwrite'],
      `nocreds.dev/certificate-dns-names=${own}`,
    ])
  })

  test('client and server accept each other by annotation alone', async () => {
    server = await startServer(suite, one)
    said = await startClient(suite, other, server)
    const seconds = await waitFor('five seconds of calls', 60_000, async () => {
      const soFar = await said()
      return soFar.length >= 5 ? soFar : undefined
    })
    expect(seconds.flatMap(({ failed }) => failed)).toEqual([])
    expect(seconds.at(-1)).toMatchObject({ peer: `URI:${other.identity}` })
    expect(seconds.at(-1)!.answered).toBeGreaterThan(0)
  })

  test('no sidecar if the kubelet asks, and no token of nocreds in the app', async () => {
    const pods = await suite.kubectl([
      ...['get', 'pods', '--namespace', one.namespace, '--output'],
      'jsonpath={.items[*].spec.initContainers[*].name}',
    ])
    expect(pods).toBe(source === 'auto' ? '' : 'nocreds-exchanger')
    const exec = ['exec', 'deployment/client', '--namespace', other.namespace, '-c', 'app', '--']
    const listed = await suite.kubectl([...exec, 'ls', '/var/run/secrets/nocreds.dev'])
    expect(listed).toBe('tls')
  })

  test('the server refuses a client with a certificate of another CA, or without one', async () => {
    const hour = { nowMs: realClock.now(), lifetimeSeconds: 3600 }
    const ca = await createCa(hour)
    const stranger = await issueLeaf({ ...hour, ca, dnsNames: ['client'], usage: 'clientAuth' })
    const own = await filesOf(suite, other, 'deployment/client')
    expect(await callOnce(suite, other, server, own)).toBe('answered 200')
    expect(await callOnce(suite, other, server, { ...own, ...stranger })).toMatch(/^refused /)
    expect(await callOnce(suite, other, server, { bundlePem: own.bundlePem })).toMatch(/^refused /)
  })

  test('openssl and Go accept chain, identity and names', async () => {
    const { certPem, bundlePem } = await filesOf(suite, one, 'deployment/server')
    const leaf = new X509Certificate(certPem)
    expect(leaf.subjectAltName).toContain(`URI:${one.identity}`)
    expect(leaf.subjectAltName).toContain('DNS:server.mtls.example')
    const folder = await mkdtemp(join(tmpdir(), 'nocreds-chain-'))
    try {
      const [chain, bundle] = [join(folder, 'tls.crt'), join(folder, 'ca.crt')]
      await Promise.all([writeFile(chain, certPem), writeFile(bundle, bundlePem)])
      for (const purpose of ['sslserver', 'sslclient']) {
        const verify = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', bundle]
        const checked = await suite.host.run('openssl', [...verify, '-untrusted', chain, chain])
        expect(checked).toMatch(/: OK$/)
      }
      const host = await withTool(suite.host, 'go', 'the check of the chain by Go')
      const program = join(REPOSITORY, 'e2e/apps/chain/main.go')
      const said = await host.run('go', ['run', program, chain, bundle])
      expect(said.split('\n')).toEqual([
        one.identity,
        `server.${one.namespace},server.${one.namespace}.svc,server.mtls.example`,
      ])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
