import { spawnSync } from 'node:child_process'
import { sign, verify } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createIntermediate,
  createRoot,
  issueLeaf,
  keyPemOf,
} from '../../authority/ca/certificate.ts'
import { readCsr } from '../../authority/request/csr.ts'
import { csrDer, csrPem, newP256 } from '../../testbed/csr.ts'
import type { Section } from '../section.ts'
import { median, spread } from '../statistics.ts'

const ROUNDS = 5
const CERTIFICATES = 2000
const BY_OPENSSL = 40
const GOAL_RATIO = 0.1
const LIFETIME_SECONDS = 3600

/** One certificate: a CSR is read and proven, a leaf is put together and signed; all P-256. */
export async function measureIssuance(): Promise<Section> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
  try {
    const nowMs = Date.now()
    const issuer = await createIntermediate(await createRoot(nowMs, 86_400), nowMs, 43_200)
    const key = newP256()
    const csr = csrDer({ key, dnsNames: ['web.team-a.svc'] })
    const uri = 'spiffe://cluster.local/ns/team-a/sa/web'
    const data = Buffer.alloc(600, 1)
    const signature = sign('sha256', data, issuer.key)
    await writeFile(join(folder, 'ca.pem'), issuer.chainPem)
    await writeFile(join(folder, 'ca.key'), keyPemOf(issuer.key))
    await writeFile(join(folder, 'csr.pem'), csrPem({ key, dnsNames: ['web.team-a.svc'] }))
    const ours = (): void => {
      const { key: asked, dnsNames } = readCsr(csr)
      issueLeaf({ issuer, key: asked, dnsNames, uri, nowMs, lifetimeSeconds: LIFETIME_SECONDS })
    }
    const floor = (): void => {
      verify('sha256', data, issuer.certificate.publicKey, signature)
      sign('sha256', data, issuer.key)
    }
    usEach(ours, CERTIFICATES) // for the JIT
    const rounds = Array.from({ length: ROUNDS }, () => ({
      ours: usEach(ours, CERTIFICATES),
      floor: usEach(floor, CERTIFICATES),
      openssl: usEach(() => {
        byOpenssl(folder)
      }, BY_OPENSSL),
    }))
    const ratios = rounds.map((round) => round.ours / round.openssl)
    const of = (name: 'ours' | 'floor' | 'openssl'): string =>
      spread(
        rounds.map((round) => round[name]),
        0,
      )
    return {
      title: 'Issuance',
      goal: `at most ${GOAL_RATIO} of openssl x509 -req, P-256`,
      measured: `${of('ours')} µs a certificate, ${median(ratios).toFixed(3)} of openssl's`,
      verdict: median(ratios) <= GOAL_RATIO ? 'reached' : 'missed',
      detail: [
        `- ${ROUNDS} rounds of ${CERTIFICATES} certificates in one process, each from a CSR: ${of('ours')} µs`,
        `- openssl x509 -req with the same keys, a process for each of ${BY_OPENSSL}, whose start is most of it: ${of('openssl')} µs`,
        `- one signature and one verification alone, with node:crypto: ${of('floor')} µs`,
      ],
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function usEach(action: () => void, times: number): number {
  const startedAt = performance.now()
  for (let time = 0; time < times; time += 1) action()
  return ((performance.now() - startedAt) * 1000) / times
}

function byOpenssl(folder: string): void {
  const files = ['-in', 'csr.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', 'leaf.pem']
  const args = ['x509', '-req', ...files, '-days', '1', '-copy_extensions', 'copy']
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}
