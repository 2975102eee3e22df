import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { INJECTED_ROLE } from '../contract/names.ts'
import { isNamespaced } from '../contract/session-name.ts'
import * as values from '../contract/values.ts'
import { HAS_KUBECTL, ROOT } from '../manifests/manifests.test-data.ts'
import { closeAtOnce, listenOnLoopback } from '../test/fakes/loopback-server.ts'

/** The commands of "Upgrade" in docs/operations.md as they stand, by kubectl, against objects of known namespaces. */
const DELIVERY = 'nocreds.dev/delivery'
const SESSION_NAME = 'nocreds.dev/session-name'
const REGION = 'nocreds.dev/region'
const DNS_NAMES = 'nocreds.dev/certificate-dns-names'

const object = (kind: string, namespace: string, annotations?: object): object => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x', namespace, annotations },
})
const REGIONS = [
  'eu-central-1',
  'us-gov-west-1',
  'aws-global',
  'fips-us-east-1',
  'us-east-1-fips',
  'us-east-1a',
]
const ACCOUNTS = [
  object('ServiceAccount', 'web-identity-by-account', { [DELIVERY]: 'web-identity' }),
  object('ServiceAccount', 'process', { [DELIVERY]: 'process', [SESSION_NAME]: '{pod}' }),
  object('ServiceAccount', 'nothing'),
  object('ServiceAccount', 'default-name', { [SESSION_NAME]: '{namespace}.{serviceaccount}' }),
  object('ServiceAccount', 'namespace-name', { [SESSION_NAME]: '{namespace}' }),
  object('ServiceAccount', 'near-name', { [SESSION_NAME]: '{namespace}-{pod}' }),
  object('ServiceAccount', 'first-label', { [DNS_NAMES]: 'web, web.first-label.svc' }),
  object('ServiceAccount', 'last-label', { [DNS_NAMES]: 'web.last-label.svc,web' }),
  ...REGIONS.map((region) => object('ServiceAccount', region, { [REGION]: region })),
  object('ServiceAccount', 'long-names', { [DNS_NAMES]: 'web.long-names, web.long-names.svc' }),
]
const ROLE = { [INJECTED_ROLE]: 'arn:aws:iam::111122223333:role/app' }
const PODS = [
  object('Pod', 'web-identity-by-pod', { [DELIVERY]: 'web-identity' }),
  object('Pod', 'web-identity-by-pod', { [DELIVERY]: 'web-identity' }),
  object('Pod', 'nothing', { 'example.com/delivery': 'web-identity' }),
  { ...object('Pod', 'one-process-namespace', ROLE), spec: { shareProcessNamespace: true } },
  { ...object('Pod', 'own-process-namespaces', ROLE), spec: { shareProcessNamespace: false } },
  { ...object('Pod', 'without-a-role'), spec: { shareProcessNamespace: true } },
]

const list = (kind: string, items: object[]): object => ({ apiVersion: 'v1', kind, items })
const resource = (kind: string): object => ({
  name: `${kind.toLowerCase()}s`,
  singularName: kind.toLowerCase(),
  namespaced: true,
  kind,
  verbs: ['get', 'list'],
})
const ANSWERS: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [resource('ServiceAccount'), resource('Pod')],
  },
  '/api/v1/serviceaccounts': list('ServiceAccountList', ACCOUNTS),
  '/api/v1/pods': list('PodList', PODS),
}

let server: Server
let home: string
let commands: string[]

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'nocreds-test-'))
  const page = await readFile(join(ROOT, 'docs/operations.md'), 'utf8')
  const [, chapter = ''] = page.split('\n## Upgrade\n')
  commands =
    (chapter.split(/\n##+ /)[0] ?? '').match(
      /(?<=^ +)kubectl get (?:serviceaccounts,)?pods.*$/gm,
    ) ?? []
  server = createServer((request, response) => {
    const answer = ANSWERS[new URL(request.url ?? '', 'http://x').pathname]
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { kind: 'Status', code: 404 }))
  })
  await listenOnLoopback(server, 0)
})

afterAll(async () => {
  await closeAtOnce(server)
  await rm(home, { recursive: true })
})

async function lines(command: string): Promise<string[]> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const here = command.replace('kubectl ', `kubectl --server ${url} --cache-dir ${home}/cache `)
  const { stdout } = await promisify(execFile)('sh', ['-c', here], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home },
  })
  return stdout.trim().split('\n')
}

const whereKubectlIs = HAS_KUBECTL ? test : test.skip

whereKubectlIs('list the namespaces that need an annotation, and no others', async () => {
  expect(commands).toHaveLength(5)
  const [deliveries, sessionNames, dnsNames, shared, regions] = await Promise.all(
    commands.map(lines),
  )
  expect(deliveries).toEqual(['web-identity-by-account', 'web-identity-by-pod'])
  expect(sessionNames).toEqual(['near-name {namespace}-{pod}', 'process {pod}'])
  expect(sessionNames?.some((line) => isNamespaced(line.split(' ')[1] ?? ''))).toBe(false)
  expect(dnsNames).toEqual([
    'first-label web, web.first-label.svc',
    'last-label web.last-label.svc,web',
  ])
  expect(shared).toEqual(['one-process-namespace arn:aws:iam::111122223333:role/app'])
  const refused = REGIONS.filter((region) => values.region.parse(region) === undefined)
  expect(refused).toHaveLength(4)
  expect(regions).toEqual(refused.map((region) => `${region} ${region}`).sort())
})
