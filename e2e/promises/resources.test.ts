/** Pods with exact resources, and Namespaces that demand or bound them: each pod starts with credentials. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { EXCHANGER, EXCHANGER_RESOURCES } from '../../contract/names.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'

let suite: Suite

beforeAll(async () => {
  suite = await openSuite('resources')
})
afterAll(() => closeSuite(suite), 60_000)

interface Pod {
  readonly spec: { readonly initContainers: readonly Container[] }
  readonly status: { readonly qosClass: string }
}

interface Container {
  readonly name: string
  readonly resources: Readonly<
    Partial<Record<'requests' | 'limits', Readonly<Record<string, string>>>>
  >
}

const exact = (cpu: string): object => ({
  requests: { cpu, memory: '128Mi' },
  limits: { cpu, memory: '128Mi' },
})

/** The pod of a team, once it said who it is, and the resources of its sidecar. */
async function started(
  team: Team,
  resources: object,
  podFields: object = {},
): Promise<{ readonly qosClass: string; readonly sidecar: Container['resources'] }> {
  const spec = { ...podSpec({ ...whoAmIThenStay(), resources }), ...podFields }
  const metadata = { name: 'app', namespace: team.namespace }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  expect(await identityOf(suite, team, 'app')).toEqual(team.identity)
  const found = await suite.kubectl.get<Pod>(['pod', 'app', '--namespace', team.namespace])
  const exchanger = found.spec.initContainers.find(({ name }) => name === EXCHANGER.container)
  return { qosClass: found.status.qosClass, sidecar: exchanger?.resources ?? {} }
}

/** A Namespace that has an object of this kind, and a ServiceAccount that asks for such a sidecar. */
async function boundedTeam(name: string, object: object, resources: string): Promise<Team> {
  const team = await createTeam(suite, name, { annotations: { [EXCHANGER_RESOURCES]: resources } })
  const metadata = { name: 'bounds', namespace: team.namespace }
  await suite.kubectl.apply({ apiVersion: 'v1', metadata, ...object })
  return team
}

test('a pod with requests equal to limits stays Guaranteed', async () => {
  const team = await createTeam(suite, 'guaranteed')
  const { qosClass, sidecar } = await started(team, exact('200m'))
  expect(qosClass).toBe('Guaranteed')
  expect(sidecar.limits?.['cpu']).toBe('100m')
  expect(sidecar.requests).toEqual(sidecar.limits)
})

test('one with whole CPUs, which it would have for itself by the static CPU manager, too', async () => {
  const team = await createTeam(suite, 'whole-cpus')
  const spec = podSpec({ ...whoAmIThenStay(), resources: exact('64') })
  const metadata = { name: 'app', namespace: team.namespace }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec }) // no node has as many
  const { status } = await suite.kubectl.get<Pod>(['pod', 'app', '--namespace', team.namespace])
  expect(status.qosClass).toBe('Guaranteed')
})

test('a pod that has resources as a whole keeps them, and they suffice', async () => {
  const team = await createTeam(suite, 'whole')
  const { sidecar } = await started(team, exact('200m'), { resources: exact('200m') })
  expect(sidecar).toEqual({})
})

test('a ResourceQuota on requests and limits of CPU and memory', async () => {
  const hard = {
    'requests.cpu': '1',
    'requests.memory': '1Gi',
    'limits.cpu': '2',
    'limits.memory': '1Gi',
  }
  const quota = { kind: 'ResourceQuota', spec: { hard } }
  const team = await boundedTeam('quota', quota, 'limits.cpu=100m')
  const limits = { cpu: '1', memory: '256Mi' }
  const { sidecar } = await started(team, { requests: { cpu: '50m', memory: '64Mi' }, limits })
  expect(sidecar.limits?.['cpu']).toBe('100m')
})

test('a LimitRange with minimum, maximum and ratio', async () => {
  const bounds = {
    type: 'Container',
    min: { cpu: '50m', memory: '64Mi' },
    max: { cpu: '2', memory: '512Mi' },
    maxLimitRequestRatio: { cpu: '2', memory: '1' },
  }
  const range = { kind: 'LimitRange', spec: { limits: [bounds] } }
  const resources = 'requests.cpu=50m,requests.memory=64Mi,limits.cpu=100m,limits.memory=64Mi'
  const team = await boundedTeam('range', range, resources)
  const memory = '128Mi'
  const app = { requests: { cpu: '200m', memory }, limits: { cpu: '400m', memory } }
  const { sidecar } = await started(team, app)
  expect(sidecar.requests).toEqual({ cpu: '50m', memory: '64Mi' })
})
