import { AUTHORITY } from '../../contract/certificates.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { IMAGES } from '../versions.ts'
import type { Suite } from './suite.ts'
import { waitFor } from './wait.ts'

/** A pod of the attacker, without any right, in which programs are run. */
export interface AttackPod {
  readonly ip: string
  /**
   * Runs a program of Node in it.
   *
   * @param input given on standard input, as JSON
   * @returns what it printed, parsed
   */
  node<T>(program: string, input?: unknown): Promise<T>
  log(): Promise<string>
}

/** @param command default: it stays until it is deleted */
export async function startAttackPod(
  { kubectl }: Pick<Suite, 'kubectl'>,
  namespace: string,
  { name = 'attacker', command = ['sleep', '3600'], env = {} } = {},
): Promise<AttackPod> {
  const inNamespace = ['--namespace', namespace]
  const variables = Object.entries<string>(env).map(([key, value]) => ({ name: key, value }))
  const app = { name: 'app', image: IMAGES.appJavascript, command, env: variables }
  const spec = {
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    containers: [app],
  }
  const metadata = { name, namespace }
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  await kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s', ...inNamespace])
  const { status } = await kubectl.get<{ readonly status: { readonly podIP: string } }>([
    ...['pod', name, ...inNamespace],
  ])
  return {
    ip: status.podIP,
    async node<T>(program: string, input: unknown = null) {
      const exec = ['exec', '--stdin', name, ...inNamespace, '--', 'node', '-e', program]
      return JSON.parse(await kubectl(exec, JSON.stringify(input))) as T
    },
    log: () => kubectl(['logs', name, ...inNamespace]),
  }
}

/** Posts each body of `{ token, bodies }` to the authority, one after the other, without verifying the server. */
const POST = `
const { token, bodies } = JSON.parse(fs.readFileSync(0, 'utf8'))
const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' }
const options = { method: 'POST', rejectUnauthorized: false, headers }
const post = (body) => new Promise((resolve) => {
  https.request('https://${AUTHORITY.host}${AUTHORITY.path}', options, (answer) => {
    let text = ''
    answer.on('data', (part) => { text += part }).on('end', () => resolve({ status: answer.statusCode, ...JSON.parse(text) }))
  }).on('error', ({ code }) => resolve({ code })).end(JSON.stringify(body))
})
const all = async () => {
  const answers = []
  for (const body of bodies) answers.push(await post(body))
  console.log(JSON.stringify(answers))
  process.exit()
}
all()
`

export interface CertificateAnswer {
  readonly status?: number
  readonly code?: string
  readonly message?: string
  readonly certificate?: string
}

/** What the authority says to an attacker with a token, for each body. */
export function askAuthority(
  pod: AttackPod,
  token: string,
  bodies: readonly object[],
): Promise<readonly CertificateAnswer[]> {
  return pod.node<readonly CertificateAnswer[]>(POST, { token, bodies })
}

/**
 * Answers for the authority, by name service and by TLS, and prints a line for each thing that comes: `dns NAME`,
 * `knock ADDRESS` of a connection, `hello NAME` of its handshake, `request AUTHORIZATION`.
 */
const IMPOSTOR = `
const { networkInterfaces } = require('os')
const ip = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal).address
const { CERT: cert, KEY: key } = process.env
const SNICallback = (name, done) => { console.log('hello ' + name); done(null) }
https.createServer({ cert, key, SNICallback }, (request, response) => {
  console.log('request ' + request.headers.authorization)
  response.end('{}')
}).on('tlsClientError', () => {}).on('connection', ({ remoteAddress }) => {
  console.log('knock ' + remoteAddress.replace('::ffff:', ''))
}).listen(443)
const dns = require('dgram').createSocket('udp4')
dns.on('message', (question, { address, port }) => {
  let end = 12
  const labels = []
  for (let size = question[end]; size > 0; size = question[end]) {
    labels.push(question.toString('latin1', end + 1, end + 1 + size))
    end += 1 + size
  }
  const isA = question.readUInt16BE(end + 1) === 1
  if (isA) console.log('dns ' + labels.join('.'))
  const header = Buffer.from([...question.subarray(0, 2), 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...ip.split('.').map(Number)])
  dns.send(Buffer.concat([header, question.subarray(12, end + 5), ...(isA ? [record] : [])]), port, address)
}).bind(53, () => console.log('ready'))
`

/** A pod that answers in the authority's name, with a certificate of a CA of the attacker's own. */
export async function startImpostor(
  suite: Pick<Suite, 'kubectl'>,
  namespace: string,
): Promise<AttackPod & { readonly caPem: string }> {
  const { caPem, certPem, keyPem } = await throwawayCertificate([AUTHORITY.host])
  const pod = await startAttackPod(suite, namespace, {
    name: 'impostor',
    command: ['node', '-e', IMPOSTOR],
    env: { CERT: certPem, KEY: keyPem },
  })
  await waitFor('the impostor to listen', 30_000, async () =>
    (await pod.log()).includes('ready') ? true : undefined,
  )
  return { ...pod, caPem }
}
