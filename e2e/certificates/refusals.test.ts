/** What the authority refuses, with tokens that a real apiserver reviews and CSRs as a hostile pod sends them. */
import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { AUTHORITY } from '../../contract/certificates.ts'
import { der, TAG } from '../../shared/x509/der.ts'
import { OID } from '../../shared/x509/oids.ts'
import { toPem } from '../../shared/x509/pem.ts'
import { extensionOf, csrDer, csrPem, type CsrOptions } from '../../test/fakes/csr.ts'
import { createMember, type Member } from '../support/certificates.ts'
import {
  clusterSigner,
  otherClusterSigner,
  type BoundPod,
  type TokenSigner,
} from '../support/forged-token.ts'
import { closeSuite, openSuite, podSpec, type Suite } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

let suite: Suite
let member: Member
let sign: TokenSigner
let pod: BoundPod

interface WithUid {
  readonly metadata: { readonly uid: string }
}

beforeAll(async () => {
  suite = await openSuite('refusals')
  sign = await clusterSigner(suite)
  member = await createMember(suite, 'team', { 'nocreds.dev/certificate': 'false' })
  pod = await startPod('asks')
}, 180_000)

afterAll(() => closeSuite(suite))

/** A pod that stays, and what a token says of it. */
async function startPod(name: string): Promise<BoundPod> {
  const { namespace } = member
  const app = { name: 'app', image: IMAGES.appJavascript, command: ['sleep', '3600'] }
  const metadata = { name, namespace }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec(app) })
  const wait = ['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s']
  await suite.kubectl([...wait, '--namespace', namespace])
  const uidOf = async (kind: string, of: string): Promise<string> =>
    (await suite.kubectl.get<WithUid>([kind, of, '--namespace', namespace])).metadata.uid
  const uid = await uidOf('pod', name)
  return { namespace, name, uid, serviceAccountUid: await uidOf('serviceaccount', 'app') }
}

/** Run inside a pod: posts what is on standard input to the authority. */
const POST = `
const { token, body } = JSON.parse(fs.readFileSync(0, 'utf8'))
const options = { method: 'POST', rejectUnauthorized: false, headers: { authorization: 'Bearer ' + token, 'content-type': 'application/json' } }
const end = (said) => { console.log(JSON.stringify(said)); process.exit() }
const asked = https.request('https://${AUTHORITY.host}${AUTHORITY.path}', options, (answer) => {
  let text = ''
  answer.on('data', (part) => { text += part }).on('end', () => end({ status: answer.statusCode, ...JSON.parse(text) }))
})
asked.on('error', ({ code }) => end({ code })).end(body)
`

interface Answer {
  readonly status?: number
  readonly code?: string
  readonly message?: string
  readonly certificate?: string
}

async function post(token: string, body: object | string): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const exec = ['exec', '--stdin', 'asks', '--namespace', member.namespace, '--container', 'app']
  const input = JSON.stringify({ token, body: text })
  return JSON.parse(await suite.kubectl([...exec, '--', 'node', '-e', POST], input)) as Answer
}

const asking = (options: CsrOptions = {}, durationSeconds = 3600): object => ({
  csr: csrPem(options),
  durationSeconds,
})

test('a token of a running pod gets a certificate, else the refusals below would prove nothing', async () => {
  const answer = await post(
    await sign(pod),
    asking({ dnsNames: [`server.${member.namespace}.svc`] }),
  )
  expect(answer).toMatchObject({ status: 200, certificate: expect.stringContaining('BEGIN') })
})

test.each<[string, () => Promise<string>, string]>([
  ['of another audience', () => sign(pod, { audience: 'sts.amazonaws.com' }), 'token-invalid'],
  ['that has expired', () => sign(pod, { endsInSeconds: -60 }), 'token-invalid'],
  ['of another cluster', () => otherClusterSigner()(pod), 'token-invalid'],
  ['that is none', () => Promise.resolve('none'), 'token-invalid'],
  ['of a pod that never existed', () => sign({ ...pod, uid: 'other' }), 'token-invalid'],
])('a token %s is refused', async (_, token, code) => {
  const answer = await post(await token(), asking())
  expect(answer).toMatchObject({ status: 401, code })
  expect(answer.message?.length).toBeGreaterThan(15)
})

test('a token of a deleted pod is refused', async () => {
  const gone = await startPod('gone')
  const token = await sign(gone)
  expect(await post(token, asking())).toMatchObject({ status: 200 })
  await suite.kubectl(['delete', 'pod', 'gone', '--namespace', member.namespace])
  const answer = await waitFor('the token to be refused', 30_000, async () => {
    const said = await post(token, asking())
    return said.status === 200 ? undefined : said
  })
  expect(['token-invalid', 'pod-gone']).toContain(answer.code)
})

const CA_TRUE = extensionOf(
  OID.basicConstraints,
  der(TAG.sequence, der(TAG.boolean, Buffer.from([0xff]))),
)
const rsa = (modulusLength: number): CsrOptions => ({
  key: generateKeyPairSync('rsa', { modulusLength }).privateKey,
})
const curve = (namedCurve: string): CsrOptions => ({
  key: generateKeyPairSync('ec', { namedCurve }).privateKey,
})
const broken = (): string => {
  const bytes = csrDer()
  bytes[bytes.length - 1]! ^= 1
  return toPem('CERTIFICATE REQUEST', bytes)
}
const many = Array.from({ length: 10_000 }, (_, index) => `n${index}`)

test.each<[string, () => object | string, string]>([
  [
    'a name of another namespace',
    () => asking({ dnsNames: ['web.other.svc'] }),
    'name-not-permitted',
  ],
  [
    'a name that is not permitted',
    () => asking({ dnsNames: ['www.example.com'] }),
    'name-not-permitted',
  ],
  ['a single label', () => asking({ dnsNames: ['server'] }), 'name-not-permitted'],
  ['a lifetime too short', () => asking({}, 60), 'duration-out-of-bounds'],
  ['a lifetime too long', () => asking({}, 90_000), 'duration-out-of-bounds'],
  ['a wrong signature', () => ({ csr: broken(), durationSeconds: 3600 }), 'csr-invalid'],
  ['RSA of 1024 bits', () => asking(rsa(1024)), 'csr-invalid'],
  ['an unknown curve', () => asking(curve('secp256k1')), 'csr-invalid'],
  ['CA:TRUE', () => asking({ extensions: [CA_TRUE] }), 'csr-invalid'],
  [
    'a foreign URI',
    () => asking({ uris: ['spiffe://cluster.local/ns/kube-system/sa/admin'] }),
    'csr-invalid',
  ],
  [
    'an IP address',
    () => asking({ otherNames: [der(0x87, Buffer.from([10, 0, 0, 1]))] }),
    'csr-invalid',
  ],
  [
    'garbage',
    () => ({ csr: toPem('CERTIFICATE REQUEST', Buffer.alloc(300, 7)), durationSeconds: 3600 }),
    'csr-invalid',
  ],
  ['10,000 names', () => asking({ dnsNames: many }), 'too-large'],
  ['a megabyte', () => 'x'.repeat(1_000_000), 'too-large'],
  ['no JSON', () => 'x', 'request-invalid'],
])('%s is refused with the reason', async (_, body, code) => {
  const answer = await post(await sign(pod), body())
  expect(answer.code).toBe(code)
  expect(answer.message?.length).toBeGreaterThan(15)
})

test('every refusal is counted', async () => {
  const selector = ['--selector', 'app.kubernetes.io/name=nocreds-authority']
  const inSystem = ['--namespace', AUTHORITY.namespace]
  const names = await suite.kubectl(['get', 'pods', ...selector, ...inSystem, '-o', 'name'])
  const texts = await Promise.all(
    names.split('\n').map((name) => {
      const path = `/api/v1/namespaces/${AUTHORITY.namespace}/pods/${name.replace('pod/', '')}`
      return suite.kubectl(['get', '--raw', `${path}:${AUTHORITY.metricsPort}/proxy/metrics`])
    }),
  )
  const all = texts.join('\n')
  for (const reason of ['token-invalid', 'csr-invalid', 'name-not-permitted'])
    expect(all).toContain(
      `nocreds_certificate_requests_total{source="authority",result="refused",reason="${reason}"}`,
    )
})
