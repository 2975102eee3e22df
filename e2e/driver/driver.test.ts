/** Pods that the driver of their node serves: no sidecar, no token, the same credentials, the same rules. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DRIVER_VOLUME } from '../../contract/driver-volume.ts'
import { CSI_DRIVER, CREDENTIALS_VOLUME } from '../../contract/names.ts'
import { ACCOUNT, ISSUER } from '../cluster/aws.ts'
import { startAttackPod } from '../support/attack-pod.ts'
import {
  BY_DRIVER,
  driverPod,
  insideDriver,
  mountFailure,
  openDriverSuite,
} from '../support/driver.ts'
import { onNode } from '../support/node.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  podSpec,
  whoAmI,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { FIND_TOKENS } from '../support/token-search.ts'

interface Pod {
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string }[]
    readonly volumes: readonly { readonly name: string; readonly projected?: object }[]
  }
}

/** What a Namespace that enforces Pod Security `restricted` wants of a container. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}
const ENFORCED = 'pod-security.kubernetes.io/enforce'

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openDriverSuite('driver')
  team = await createTeam(suite, 'team', BY_DRIVER)
}, 300_000)

afterAll(() => closeSuite(suite))

function apply(name: string, spec: object, { namespace }: Team = team): Promise<string> {
  const metadata = { name, namespace }
  return suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

describe('by one annotation', () => {
  beforeAll(() => apply('app', { ...podSpec(whoAmIThenStay()), shareProcessNamespace: true }))

  test('the SDK of an app pod is the role, without a sidecar', async () => {
    expect(await identityOf(suite, team, 'app')).toEqual(team.identity)
    const { spec } = await suite.kubectl.get<Pod>(['pod', 'app', '--namespace', team.namespace])
    expect((spec.initContainers ?? []).map(({ name }) => name)).toEqual([])
    const sources = JSON.stringify(spec.volumes.map(({ projected }) => projected ?? {}))
    expect(sources).not.toMatch(/sts\.amazonaws\.com|nocreds\.dev\/authority/)
  }, 180_000)

  test('no token for STS or the authority is anywhere in it, and it cannot write', async () => {
    const inApp = ['exec', 'app', '--namespace', team.namespace, '--container', 'app', '--']
    const audiences = await suite.kubectl([...inApp, 'node', '-e', FIND_TOKENS])
    // That of the pod's own API token shows that the search finds tokens.
    expect(JSON.parse(audiences)).toEqual([`https://${ISSUER}`])
    const { mountPath } = DRIVER_VOLUME
    expect(await suite.kubectl([...inApp, 'ls', '-A', mountPath])).toBe('')
    for (const folder of [mountPath, CREDENTIALS_VOLUME.mountPath]) {
      const touched = suite.kubectl([...inApp, 'touch', `${folder}/mine`])
      await expect(touched).rejects.toThrow('Read-only file system')
    }
  }, 60_000)

  test('each container that starts has credentials, init containers too; any user', async () => {
    const securityContext = {
      runAsUser: 1_000_700_000,
      runAsGroup: 0,
      readOnlyRootFilesystem: true,
    }
    const spec = podSpec({ ...whoAmI(), securityContext })
    const initContainers = [whoAmI('first'), whoAmI('second')]
    await apply('init', { ...spec, initContainers, restartPolicy: 'Never' })
    for (const container of ['first', 'second', 'app'])
      expect(await identityOf(suite, team, 'init', container)).toEqual(team.identity)
  }, 180_000)

  test('by the annotation of the Namespace, under Pod Security restricted', async () => {
    const restricted = await createTeam(suite, 'restricted', {
      labels: { [ENFORCED]: 'restricted' },
    })
    const annotate = ['annotate', 'namespace', restricted.namespace]
    await suite.kubectl([...annotate, 'nocreds.dev/exchanger=driver'])
    await apply('app', podSpec({ ...whoAmIThenStay(), securityContext: RESTRICTED }), restricted)
    expect(await identityOf(suite, restricted, 'app')).toEqual(restricted.identity)
  }, 180_000)
})

describe('what is not permitted', () => {
  test('a role that the namespace does not permit is denied', async () => {
    const role = `arn:aws:iam::${ACCOUNT}:role/other`
    const metadata = {
      name: 'foreign',
      namespace: team.namespace,
      annotations: { 'nocreds.dev/role-arn': role },
    }
    const spec = podSpec(whoAmI())
    const applied = suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    await expect(applied).rejects.toThrow(
      `namespace "${team.namespace}" does not permit role ${role}`,
    )
  })

  test("STS refuses: the pod's events say why, and it starts once the trust policy is right", async () => {
    const refused = await createTeam(suite, 'refused', { ...BY_DRIVER, trusts: 'another' })
    await apply('app', { ...podSpec(whoAmI()), restartPolicy: 'Never' }, refused)
    const said = `AccessDenied: STS refused ${refused.role} for ServiceAccount ${refused.namespace}/app`
    expect(await mountFailure(suite, refused, 'app', said)).toContain(
      `arn:aws:iam::${ACCOUNT}:oidc-provider/${ISSUER}`,
    )
    const line = await suite.kubectl(['get', 'pod', 'app', '--namespace', refused.namespace])
    expect(line).toContain(' 0/1 ')
    await suite.aws.iam('DeleteRole', { RoleName: refused.namespace })
    await suite.aws.createRole(refused.namespace, `${refused.namespace}:app`)
    expect(await identityOf(suite, refused, 'app')).toEqual(refused.identity)
  }, 400_000)
})

describe('the node', () => {
  test('the driver has no capability, no token, and mounts nothing', async () => {
    const status = await insideDriver(suite, 'cat', '/proc/1/status')
    expect(status).toMatch(/CapEff:\s*0+\n/)
    expect(status).toMatch(/CapBnd:\s*0+\n/)
    const token = insideDriver(suite, 'ls', '/var/run/secrets/kubernetes.io/serviceaccount')
    await expect(token).rejects.toThrow('No such file')
    expect(await insideDriver(suite, 'cat', '/proc/1/mounts')).not.toContain(CSI_DRIVER + '/mount')
  }, 60_000)

  test('nobody but root of the node reaches its sockets', async () => {
    const folder = '/var/lib/kubelet'
    const names = [`plugins/${CSI_DRIVER}/csi.sock`, `plugins_registry/${CSI_DRIVER}-reg.sock`]
    const sockets = names.map((name) => `${folder}/${name}`)
    const seen = await onNode(suite.host, 'stat', '--format=%a %U %F', ...sockets)
    expect(seen.split('\n')).toEqual(['600 root socket', '600 root socket'])
    const baseline = await createTeam(suite, 'baseline', {
      ...BY_DRIVER,
      labels: { [ENFORCED]: 'baseline' },
    })
    const volumes = [{ name: 'node', hostPath: { path: `${folder}/plugins/${CSI_DRIVER}` } }]
    const peek = apply('peek', { ...podSpec(whoAmI()), volumes }, baseline)
    await expect(peek).rejects.toThrow('violates PodSecurity "baseline:latest"')
  }, 60_000)

  test('over the network it serves metrics alone, and they name nobody', async () => {
    const listening = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A /gm
    const tables = await insideDriver(suite, 'cat', '/proc/1/net/tcp', '/proc/1/net/tcp6')
    const ports = [...tables.matchAll(listening)].map(([, port = '']) => Number.parseInt(port, 16))
    expect(new Set(ports)).toEqual(new Set([9092])) // Node has several sockets on it
    const attacker = await startAttackPod(suite, team.namespace)
    const { podIP } = (await driverPod(suite)).status
    const ask = `fetch('http://${podIP}:9092/metrics').then((got) => got.text()).then((text) => console.log(JSON.stringify(text)))`
    const metrics = await attacker.node<string>(ask)
    expect(metrics).toMatch(/^nocreds_driver_pods [1-9]/m)
    expect(metrics).not.toMatch(new RegExp(`${suite.prefix}|arn:aws|ServiceAccount`))
  }, 90_000)
})
