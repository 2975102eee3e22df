import { sign, verify } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCsr } from '../../../authority/csr.ts'
import {
  createIntermediate,
  createRoot,
  issueLeaf,
  keyPemOf,
} from '../../../shared/x509/certificate.ts'
import { csrDer, csrPem, newP256 } from '../../../test/fakes/csr.ts'
import type { Section } from '../section.ts'
import { median, spread } from '../statistics.ts'
import { signByOpenssl, startOpenssl, usOfSpeed } from './openssl.ts'

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
    const nocreds = (): void => {
      const { key: asked, dnsNames } = readCsr(csr)
      issueLeaf({ issuer, key: asked, dnsNames, uri, nowMs, lifetimeSeconds: LIFETIME_SECONDS })
    }
    const floor = (): void => {
      verify('sha256', data, issuer.certificate.publicKey, signature)
      sign('sha256', data, issuer.key)
    }
    usEach(nocreds, CERTIFICATES) // for the JIT
    const rounds = Array.from({ length: ROUNDS }, () => ({
      nocreds: usEach(nocreds, CERTIFICATES),
      floor: usEach(floor, CERTIFICATES),
      openssl: usEach(() => {
        signByOpenssl(folder)
      }, BY_OPENSSL),
      start: usEach(() => {
        startOpenssl(folder)
      }, BY_OPENSSL),
      speed: usOfSpeed(folder),
    }))
    const ratios = rounds.map((round) => round.nocreds / round.openssl)
    const ofSpeed = rounds.map((round) => round.nocreds / round.speed)
    const of = (name: keyof (typeof rounds)[number]): string =>
      spread(
        rounds.map((round) => round[name]),
        0,
      )
    return {
      title: 'Issuance',
      goal: `at most ${GOAL_RATIO} of openssl x509 -req, P-256`,
      measured: `${of('nocreds')} µs a certificate, ${median(ratios).toFixed(3)} of openssl's`,
      verdict: median(ratios) <= GOAL_RATIO ? 'reached' : 'missed',
      detail: [
        `- ${ROUNDS} rounds of ${CERTIFICATES} certificates in one process, each from a CSR: ${of('nocreds')} µs`,
        `- \`openssl x509 -req\` with the same keys, a process for each of ${BY_OPENSSL}, for it signs no two in one: ${of('openssl')} µs, of which a process that only prints its version takes ${of('start')} µs`,
        `- one signature and one verification alone, the least that a certificate costs: ${of('floor')} µs with node:crypto, ${of('speed')} µs by \`openssl speed ecdsap256\`, of which a certificate takes ${spread(ofSpeed, 1)} times`,
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
