import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { AUTHORITY, type IssuedCertificate } from '../contract/certificates.ts'
import { splitPem } from '../shared/x509/pem.ts'
import { authorityCluster, TOKEN } from '../test/fakes/authority-cluster.ts'
import { csrPem } from '../test/fakes/csr.ts'
import { recordOutput, recordSecret } from '../test/leak-check.ts'
import { bundlePrograms } from '../tools/build/programs.ts'

/** The built program, as the image runs it; openssl verifies what it issues. */
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-authority-'))
  await bundlePrograms(folder, ['authority.mjs'])
}, 60_000)

afterAll(() => rm(folder, { recursive: true }))

function start(env: Record<string, string>, ...flags: string[]): ChildProcess {
  return spawn(process.execPath, [join(folder, 'authority.mjs'), ...flags], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

describe('the command line', () => {
  test.each<[string[], string, number]>([
    [['--colour', 'red'], "Unknown option '--colour'", 2],
    [['--max-lifetime-seconds', '59'], 'allowed: whole seconds from 60 to 86400', 2],
    [['--extra-server-name', '*.a'], 'allowed: a host name in lower case', 2],
    [['--trust-domain', 'A b'], 'allowed: a SPIFFE trust domain', 2],
    [['--root-lifetime-seconds', '86400'], 'at least 4 times --intermediate', 2],
    [[], 'no cluster', 2],
    [['--help'], '--trust-domain', 0],
  ])('%j', async (flags, said, exitCode) => {
    const child = start({}, ...flags)
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, 'close') as Promise<[number | null]>,
    ])
    expect(stdout + stderr).toContain(said)
    expect(code).toBe(exitCode)
  })
})

/** A kubeconfig for the fake apiserver. */
async function kubeconfig(server: string): Promise<string> {
  const file = join(folder, 'kubeconfig')
  const config = {
    'current-context': 'fake',
    clusters: [{ name: 'fake', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'fake', user: {} }],
    contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
  }
  await writeFile(file, JSON.stringify(config))
  return file
}

function openssl(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr + stdout)
  return stdout
}

test('openssl accepts what it issues, and SIGTERM stops it gracefully', async () => {
  recordSecret(TOKEN)
  const api = await authorityCluster()
  const flags = ['--port', '0', '--metrics-port', '0', '--trust-domain', 'prod.example.com']
  const child = start({ KUBECONFIG: await kubeconfig(api.url) }, ...flags)
  const closed = once(child, 'close') as Promise<[number | null]>
  child.stderr!.on('data', (said: Buffer) => {
    recordOutput(said.toString())
  })
  const port = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      recordOutput(line)
      const fields = JSON.parse(line) as Record<string, unknown>
      if (fields['msg'] === 'authority listening') resolve(Number(fields['port']))
    })
  })
  const { data } = api.store.present(
    '/api/v1/namespaces/nocreds-system/secrets/nocreds-authority-ca',
  ) as unknown as { data: Record<string, string> }
  const root = Buffer.from(data['ca.crt']!, 'base64').toString()
  for (const name of ['ca-signing.key', 'root.key']) {
    recordSecret(Buffer.from(data[name]!, 'base64').toString())
  }
  const issued = await new Promise<IssuedCertificate>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` }
    const to = { host: '127.0.0.1', port, path: AUTHORITY.path, method: 'POST' }
    const outgoing = request(
      { ...to, headers, ca: root, servername: AUTHORITY.host },
      (response) => {
        text(response).then((said) => {
          resolve(JSON.parse(said) as IssuedCertificate)
        }, reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(
      JSON.stringify({ csr: csrPem({ dnsNames: ['web.team-a.svc'] }), durationSeconds: 3600 }),
    )
  })
  const [leaf = '', intermediate = ''] = splitPem(issued.certificate)
  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }
  const leafFile = await file('leaf.pem', leaf)
  const intermediateFile = await file('intermediate.pem', intermediate)
  const trusted = ['-x509_strict', '-CAfile', await file('root.pem', issued.trustBundle)]
  const chain = [...trusted, '-untrusted', intermediateFile]
  for (const purpose of ['sslserver', 'sslclient']) {
    const how = ['verify', ...chain, '-purpose', purpose, '-verify_hostname', 'web.team-a.svc']
    expect(openssl(...how, leafFile)).toContain('OK')
  }
  expect(() => openssl('verify', ...chain, '-verify_hostname', 'other', leafFile)).toThrow()
  const shown = openssl('x509', '-in', leafFile, '-noout', '-text')
  expect(shown).toContain('URI:spiffe://prod.example.com/ns/team-a/sa/web, DNS:web.team-a.svc')
  expect(shown).toMatch(/Basic Constraints: critical\s+CA:FALSE/)
  expect(shown).toMatch(/Key Usage: critical\s+Digital Signature/)
  expect(shown).toContain('TLS Web Server Authentication, TLS Web Client Authentication')
  expect(openssl('x509', '-in', intermediateFile, '-noout', '-text')).toMatch(
    /Basic Constraints: critical\s+CA:TRUE, pathlen:0/,
  )
  child.kill('SIGTERM')
  expect((await closed)[0]).toBe(0)
  await api.stop()
}, 60_000)
