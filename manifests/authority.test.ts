import { describe, expect, test } from '@jest/globals'
import { serverNames } from '../authority/ca/own-certificate.ts'
import { FLAGS, parseFlags } from '../authority/config.ts'
import { AUTHORITY, CLUSTER_TRUST_BUNDLE, TRUST_BUNDLE } from '../contract/certificates.ts'
import { EXCHANGER, PROBES } from '../contract/names.ts'
import { at, installed, INSTALLED } from './manifests.test-data.ts'

/** The authority's manifests, held against its code. */
const deployment = installed('Deployment', AUTHORITY.service)
const podSpec = at(deployment, 'spec', 'template', 'spec')
const container = at(podSpec, 'containers', 0) as Record<string, unknown>

test('the objects that flags and contract name exist', () => {
  const args = (container['args'] as string[]).join('\n')
  const settings = at(installed('ConfigMap', 'nocreds-settings'), 'data') as Record<string, string>
  expect(container['env']).toEqual([
    {
      name: 'CLUSTER_DOMAIN',
      valueFrom: {
        configMapKeyRef: { name: 'nocreds-settings', key: 'clusterDomain', optional: true },
      },
    },
  ])
  const config = parseFlags(
    args.replace('$(CLUSTER_DOMAIN)', settings['clusterDomain'] ?? '').split('\n'),
  )
  expect(config).toEqual(parseFlags([])) // the defaults that docs/reference/flags.md has
  expect(parseFlags(args.split('\n'))).toEqual(config) // the settings of an older installation
  expect(installed('Secret', config['ca-secret']).metadata.namespace).toBe(AUTHORITY.namespace)
  expect(at(installed('Secret', config['ca-secret']), 'metadata')).not.toHaveProperty('data')
  expect(deployment.metadata.namespace).toBe(AUTHORITY.namespace)
})

test('the Service leads to the port for pods, under the name in the server certificate', () => {
  const service = installed('Service', AUTHORITY.service)
  expect(service.metadata.namespace).toBe(AUTHORITY.namespace)
  expect(at(service, 'spec', 'ports', 0)).toMatchObject({ port: 443, targetPort: 'certificates' })
  expect(at(service, 'spec', 'selector')).toEqual(at(deployment, 'spec', 'selector', 'matchLabels'))
  const [first] = serverNames({ clusterDomain: 'cluster.local', authorityNames: [] })
  expect(first).toBe(`${AUTHORITY.service}.${AUTHORITY.namespace}.svc`)
})

test('ports, probes and NetworkPolicy', () => {
  const ports = container['ports'] as { name: string; containerPort: number }[]
  expect(Object.fromEntries(ports.map((port) => [port.name, port.containerPort]))).toEqual({
    certificates: AUTHORITY.port,
    metrics: AUTHORITY.metricsPort,
  })
  expect(at(container, 'readinessProbe', 'httpGet')).toEqual({
    path: PROBES.ready,
    port: 'metrics',
  })
  expect(at(container, 'livenessProbe', 'httpGet')).toEqual({
    path: PROBES.live,
    port: 'metrics',
  })
  const ingress = at(installed('NetworkPolicy', AUTHORITY.service), 'spec', 'ingress', 0, 'ports')
  expect((ingress as { port: number }[]).map(({ port }) => port)).toEqual([
    AUTHORITY.port,
    AUTHORITY.metricsPort,
  ])
})

test('passes the Pod Security level restricted, and never loses its last ready replica', () => {
  expect(at(podSpec, 'securityContext')).toEqual({
    runAsNonRoot: true,
    runAsUser: EXCHANGER.userId,
    runAsGroup: EXCHANGER.userId,
    seccompProfile: { type: 'RuntimeDefault' },
  })
  expect(at(container, 'securityContext')).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  expect(at(deployment, 'spec', 'replicas')).toBe(2)
  expect(at(deployment, 'spec', 'strategy', 'rollingUpdate', 'maxUnavailable')).toBe(0)
  expect(at(installed('PodDisruptionBudget', AUTHORITY.service), 'spec', 'minAvailable')).toBe(1)
})

describe('rights of the authority', () => {
  const CLUSTER = [
    ['authentication.k8s.io', 'tokenreviews', undefined, 'create'],
    ['', 'pods', undefined, 'get'],
    ['', 'namespaces', undefined, 'get list watch'],
    ['', 'configmaps', undefined, 'create'],
    ['', 'configmaps', TRUST_BUNDLE.configMap, 'get list watch update patch delete'],
    ['certificates.k8s.io', 'clustertrustbundles', undefined, 'create'],
    [
      'certificates.k8s.io',
      'clustertrustbundles',
      CLUSTER_TRUST_BUNDLE.name,
      'get list watch update patch delete',
    ],
    ['rbac.authorization.k8s.io', 'clusterroles', AUTHORITY.service, 'get'],
    ['certificates.k8s.io', 'podcertificaterequests', undefined, 'get list watch'],
    ['certificates.k8s.io', 'podcertificaterequests/status', undefined, 'update'],
    ['certificates.k8s.io', 'signers', AUTHORITY.signerName, 'sign attest'],
  ]
  const rulesOf = (kind: string): unknown[] =>
    INSTALLED.filter((one) => one.kind === kind && one.metadata.name.startsWith(AUTHORITY.service))
      .flatMap((role) => at(role, 'rules') as Record<string, string[] | undefined>[])
      .map(({ apiGroups, resources, resourceNames, verbs }) => [
        apiGroups?.join(),
        resources?.join(),
        resourceNames?.join(),
        verbs?.join(' '),
      ])

  test('are these and no others', () => {
    expect(rulesOf('ClusterRole')).toEqual(CLUSTER)
    expect(rulesOf('Role')).toEqual([['', 'secrets', parseFlags([])['ca-secret'], 'get update']])
  })
})

test('defaults of the flags match', () => {
  expect(Object.keys(FLAGS)).toContain('trust-domain')
  expect(() => parseFlags([])).not.toThrow()
  expect(() => parseFlags(['--intermediate-lifetime-seconds', '86400'])).toThrow(/at least 4 times/)
})
