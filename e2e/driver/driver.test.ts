/** Pods that the driver of their node serves: no sidecar, no token, the same credentials. */
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DRIVER } from '../../contract/driver.ts'
import { CSI_DRIVER } from '../../contract/names.ts'
import { ACCOUNT, ISSUER } from '../cluster/aws.ts'
import { installDriver, uninstallDriver } from '../cluster/install.ts'
import { startAsking } from '../support/asking-app.ts'
import { createMember, filesOf, startClient, startServer } from '../support/certificates.ts'
import {
  APP_ENV,
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmI,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const IN_DRIVER = ['--namespace', DRIVER.namespace]
const BY_DRIVER = { annotations: { 'nocreds.dev/exchanger': 'driver' } }

interface Pod {
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string }[]
    readonly volumes: readonly { readonly name: string; readonly projected?: object }[]
  }
  readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] }
}

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openSuite('driver')
  await installDriver(suite.host)
  team = await createTeam(suite, 'team', BY_DRIVER)
}, 300_000)

afterAll(async () => {
  await closeSuite(suite)
  // Pods that are being deleted need it.
  await waitFor('the namespaces of the suite to be gone', 120_000, async () => {
    const namespaces = await suite.kubectl(['get', 'namespaces', '--output', 'name'])
    return namespaces.includes(`namespace/${suite.prefix}`) ? undefined : true
  })
  await uninstallDriver(suite.host)
}, 300_000)

function apply(name: string, spec: object, { namespace }: Team = team): Promise<unknown> {
  return suite.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec,
  })
}

const podOf = (name: string): Promise<Pod> =>
  suite.kubectl.get<Pod>(['pod', name, '--namespace', team.namespace])

const restartDriver = async (): Promise<void> => {
  await suite.kubectl(['delete', 'pods', '--all', '--wait=false', ...IN_DRIVER])
  await suite.kubectl([
    ...['rollout', 'status', 'daemonset/nocreds-driver', '--timeout=120s'],
    ...IN_DRIVER,
  ])
}

describe('by one annotation', () => {
  test('the SDK of an app pod is the role, without a sidecar and without a token', async () => {
    await apply('app', podSpec(whoAmIThenStay()))
    expect(await identityOf(suite, team, 'app')).toEqual(team.identity)
    const { spec } = await podOf('app')
    expect((spec.initContainers ?? []).map(({ name }) => name)).toEqual([])
    const sources = JSON.stringify(spec.volumes.map(({ projected }) => projected ?? {}))
    expect(sources).not.toMatch(/sts\.amazonaws\.com|nocreds\.dev\/authority/)
  }, 180_000)

  test('twenty pods at once all start', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}`)
    await Promise.all(names.map((name) => apply(name, podSpec(whoAmIThenStay()))))
    const identities = await Promise.all(names.map((name) => identityOf(suite, team, name)))
    expect(new Set(identities.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify(team.identity)]),
    )
    await suite.kubectl(['delete', 'pod', '--namespace', team.namespace, ...names])
  }, 300_000)

  test('two Deployments talk by mutual TLS', async () => {
    const annotations = { 'nocreds.dev/exchanger': 'driver' }
    const one = await createMember(suite, 'one', {
      ...annotations,
      'nocreds.dev/certificate-dns-names': `server.${suite.prefix}-one.svc`,
    })
    const other = await createMember(suite, 'other', annotations)
    const server = await startServer(suite, one)
    const said = await startClient(suite, other, server)
    const seconds = await waitFor('five seconds of calls', 60_000, async () => {
      const soFar = await said()
      return soFar.length >= 5 ? soFar : undefined
    })
    expect(seconds.flatMap(({ failed }) => failed)).toEqual([])
    const { certPem } = await filesOf(suite, other, 'deployment/client')
    expect(new X509Certificate(certPem).subjectAltName).toContain(`URI:${other.identity}`)
  }, 300_000)
})

describe('the node', () => {
  test('the driver has no capability, no token, and mounts nothing', async () => {
    const inside = (...command: string[]): Promise<string> =>
      suite.kubectl(['exec', 'daemonset/nocreds-driver', ...IN_DRIVER, '--', ...command])
    const status = await inside('cat', '/proc/1/status')
    expect(status).toMatch(/CapEff:\s*0+\n/)
    expect(status).toMatch(/CapBnd:\s*0+\n/)
    await expect(inside('ls', '/var/run/secrets/kubernetes.io/serviceaccount')).rejects.toThrow()
    expect(await inside('cat', '/proc/1/mounts')).not.toContain(CSI_DRIVER + '/mount')
  }, 60_000)

  test('a driver that is replaced: running pods notice nothing, and new ones start', async () => {
    const running = await startAsking(suite, team, 'running')
    const before = (await running.said()).length
    await restartDriver()
    await apply('after', podSpec(whoAmIThenStay()))
    expect(await identityOf(suite, team, 'after')).toEqual(team.identity)
    await running.expectUnnoticed(before + 5)
  }, 300_000)
})

test("STS refuses: the pod's events say why, and it starts once the trust policy is right", async () => {
  const refused = await createTeam(suite, 'refused', { ...BY_DRIVER, trusts: 'another' })
  await apply('app', { ...podSpec(whoAmI()), restartPolicy: 'Never' }, refused)
  const described = await waitFor('a reason in the events of the pod', 120_000, async () => {
    const text = await suite.kubectl(['describe', 'pod', 'app', '--namespace', refused.namespace])
    return text.includes('AccessDenied') ? text : undefined
  })
  expect(described).toContain(
    `AccessDenied: STS refused ${refused.role} for ServiceAccount ${refused.namespace}/app`,
  )
  expect(described).toContain(`arn:aws:iam::${ACCOUNT}:oidc-provider/${ISSUER}`)
  await suite.aws.iam('DeleteRole', { RoleName: refused.namespace })
  await suite.aws.createRole(refused.namespace, `${refused.namespace}:app`)
  expect(await identityOf(suite, refused, 'app')).toEqual(refused.identity)
}, 400_000)

describe('an attacker who may create pods', () => {
  const attributes = {
    'role-arn': `arn:aws:iam::${ACCOUNT}:role/admin`,
    'session-duration': '3600',
    'session-name': '{namespace}.{serviceaccount}',
    audience: 'sts.amazonaws.com',
  }
  const withVolume = (csi: object, more: object = {}): object => ({
    serviceAccountName: 'default',
    containers: [{ name: 'app', image: 'none', env: APP_ENV }],
    volumes: [{ name: 'nocreds-driver', csi: { driver: CSI_DRIVER, readOnly: true, ...csi } }],
    ...more,
  })

  test.each([
    ['a role that the namespace does not permit', { volumeAttributes: attributes }],
    [
      'a secret of their own',
      { volumeAttributes: attributes, nodePublishSecretRef: { name: 'x' } },
    ],
    [
      'a forged token',
      { volumeAttributes: { ...attributes, 'csi.storage.k8s.io/serviceAccount.tokens': '{}' } },
    ],
  ])('a volume by hand with %s is denied, or gives nothing of it', async (_what, csi) => {
    await expect(apply('by-hand', withVolume(csi))).rejects.toThrow(/nocreds/)
  })

  test('in a namespace that is not enabled it is denied, too', async () => {
    const namespace = `${suite.prefix}-unlabelled`
    await suite.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    })
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'by-hand', namespace },
      spec: withVolume({ volumeAttributes: attributes }),
    }
    await expect(suite.kubectl.apply(pod)).rejects.toThrow(/nocreds-/)
  })
})
