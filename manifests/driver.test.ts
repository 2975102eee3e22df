import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import * as authority from '../authority/config.ts'
import { AUTHORITY, TRUST_BUNDLE } from '../contract/certificates.ts'
import { DRIVER } from '../contract/driver.ts'
import { CSI_DRIVER, DEFAULT_AUDIENCE, INJECTION_LABEL, PROBES } from '../contract/names.ts'
import { parseFlags } from '../driver/config.ts'
import {
  at,
  HAS_KUBECTL,
  installed,
  INSTALLED_DRIVER,
  kustomized,
  MANIFESTS,
  type Manifest,
} from './manifests.test-data.ts'

const of = (kind: string, name: string): Manifest => installed(kind, name, INSTALLED_DRIVER)
const daemonSet = of('DaemonSet', DRIVER.name)
const podSpec = at(daemonSet, 'spec', 'template', 'spec')
const container = at(podSpec, 'containers', 0)
const args = at(container, 'args') as string[]
const csiDriver = of('CSIDriver', CSI_DRIVER)

describe('privileges of the driver', () => {
  test('root without a capability', () => {
    expect(at(container, 'securityContext')).toEqual({
      runAsUser: 0,
      runAsGroup: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(at(podSpec, 'securityContext')).toEqual({ seccompProfile: { type: 'RuntimeDefault' } })
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) {
      expect(podSpec).not.toHaveProperty(field)
    }
  })

  test('no rights at the apiserver, and no token for it', () => {
    expect(INSTALLED_DRIVER.filter(({ kind }) => kind.includes('Role'))).toEqual([])
    expect(at(podSpec, 'automountServiceAccountToken')).toBe(false)
    const account = of('ServiceAccount', at(podSpec, 'serviceAccountName') as string)
    expect(account['automountServiceAccountToken']).toBe(false)
  })

  test('its namespace is its own, and only folders of the kubelet are mounted', () => {
    const { labels } = of('Namespace', DRIVER.namespace).metadata as unknown as {
      labels: Record<string, string>
    }
    expect(labels['pod-security.kubernetes.io/enforce']).toBe('privileged')
    expect(labels).not.toHaveProperty(INJECTION_LABEL.key)
    for (const { kind, metadata } of INSTALLED_DRIVER) {
      const isOfCluster = kind === 'Namespace' || kind === 'CSIDriver'
      expect(metadata.namespace).toBe(isOfCluster ? undefined : DRIVER.namespace)
    }
    expect(hostPaths(podSpec)).toEqual([
      '/var/lib/kubelet/pods',
      `/var/lib/kubelet/plugins/${CSI_DRIVER}`,
      '/var/lib/kubelet/plugins_registry',
    ])
  })
})

/** Paths of the node; each is mounted at the same path, as the kubelet names it in its requests. */
function hostPaths(spec: unknown): string[] {
  const mounts = at(spec, 'containers', 0, 'volumeMounts') as { name: string; mountPath: string }[]
  const volumes = at(spec, 'volumes') as { name: string; hostPath?: { path: string } }[]
  return volumes.flatMap(({ name, hostPath }) => {
    if (hostPath === undefined) return []
    const mount = mounts.find((one) => one.name === name)
    expect(mount?.mountPath).toBe(hostPath.path)
    return [hostPath.path]
  })
}

test('mounts of pods reach it, and it sends none to the node', () => {
  const mounts = at(container, 'volumeMounts') as { name: string; mountPropagation?: string }[]
  expect(mounts.map(({ name, mountPropagation }) => [name, mountPropagation])).toEqual([
    ['pods', 'HostToContainer'],
    ['socket', undefined],
    ['registration', undefined],
    ['trust-bundle', undefined],
  ])
})

test('it runs on every node, is never the first to go, and a rollout leaves most nodes alone', () => {
  expect(at(podSpec, 'priorityClassName')).toBe('system-node-critical')
  expect(at(podSpec, 'tolerations')).toEqual([{ operator: 'Exists' }])
  expect(at(daemonSet, 'spec', 'updateStrategy', 'rollingUpdate')).toEqual({
    maxUnavailable: '10%',
  })
})

describe('CSIDriver', () => {
  test('hands pod information and tokens of both audiences to the driver', () => {
    const expirationSeconds = DRIVER.tokenExpirationSeconds
    expect(csiDriver['spec']).toEqual({
      attachRequired: false,
      podInfoOnMount: true,
      volumeLifecycleModes: ['Ephemeral'],
      requiresRepublish: true,
      fsGroupPolicy: 'None',
      serviceAccountTokenInSecrets: true,
      tokenRequests: [
        { audience: DEFAULT_AUDIENCE, expirationSeconds },
        { audience: AUTHORITY.audience, expirationSeconds },
      ],
    })
  })
})

describe('what driver, webhook, authority and guard must agree on', () => {
  const settings = at(of('ConfigMap', 'nocreds-settings'), 'data') as Record<string, string>
  const ofWebhook = at(installed('ConfigMap', 'nocreds-settings'), 'data') as typeof settings

  test('the settings of STS are those of the webhook', () => {
    const { authorityUrl, clusterArn, clusterName, ...ofSts } = settings
    expect([authorityUrl, clusterArn, clusterName]).toEqual(['', '', ''])
    expect(ofWebhook).toMatchObject(ofSts)
    const keys = Object.keys(ofWebhook).filter((key) => key.startsWith('sts'))
    expect(Object.keys(ofSts).sort()).toEqual(keys.sort())
  })

  test('each setting is a flag of the driver, and may be missing', () => {
    const env = at(container, 'env') as { name: string; valueFrom: Record<string, unknown> }[]
    const references = env.filter(({ valueFrom }) => 'configMapKeyRef' in valueFrom)
    for (const { name, valueFrom } of references) {
      expect(valueFrom).toMatchObject({
        configMapKeyRef: { name: 'nocreds-settings', optional: true },
      })
      expect(args.filter((arg) => arg.endsWith(`=$(${name})`))).toHaveLength(1)
    }
    const keys = references.map(({ valueFrom }) => at(valueFrom, 'configMapKeyRef', 'key'))
    expect(keys.sort()).toEqual(Object.keys(settings).sort())
  })

  test('the authority writes the trust bundle that the driver mounts', () => {
    expect(authority.parseFlags([])['driver-namespace']).toBe(DRIVER.namespace)
    const policy = installed('ValidatingAdmissionPolicy', 'nocreds-control-parts-authority')
    expect(JSON.stringify(policy)).toContain(`request.namespace == '${DRIVER.namespace}'`)
    const volumes = at(podSpec, 'volumes') as { name: string; configMap?: object }[]
    const { configMap } = volumes.find(({ name }) => name === 'trust-bundle') ?? {}
    expect(configMap).toEqual({ name: TRUST_BUNDLE.configMap, optional: true })
    const mounts = at(container, 'volumeMounts') as { name: string; mountPath: string }[]
    const path = mounts.find(({ name }) => name === 'trust-bundle')?.mountPath ?? ''
    expect(args).toContain(`--trust-bundle-file=${path}/${TRUST_BUNDLE.key}`)
  })

  test('probes and port', () => {
    expect(at(container, 'ports', 0, 'containerPort')).toBe(DRIVER.metricsPort)
    const given = args.map((one) => one.replace('$(NODE_NAME)', 'node-1'))
    expect(parseFlags(given.flatMap((one) => one.split(/=(.*)/s).slice(0, 2)))).toMatchObject({
      'kubelet-folder': '/var/lib/kubelet',
      'metrics-port': DRIVER.metricsPort,
    })
    expect(at(container, 'livenessProbe', 'httpGet')).toEqual({
      path: PROBES.live,
      port: 'metrics',
    })
    expect(at(container, 'readinessProbe', 'httpGet')).toEqual({
      path: PROBES.ready,
      port: 'metrics',
    })
  })
})

const whereKubectlIs = HAS_KUBECTL ? describe : describe.skip
whereKubectlIs('components', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nocreds-components-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  /** The objects with these components. */
  function composed(...components: readonly string[]): readonly Manifest[] {
    const overlay = join(folder, components.join('-'))
    mkdirSync(overlay)
    const base = relative(overlay, join(MANIFESTS, 'driver'))
    const kustomization = {
      resources: [base],
      components: components.map((one) => `${base}/components/${one}`),
    }
    writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization))
    return kustomized(relative(MANIFESTS, overlay))
  }
  const specOf = (objects: readonly Manifest[]): unknown =>
    at(installed('DaemonSet', DRIVER.name, objects), 'spec', 'template', 'spec')

  test('older-kubelets: without the field that they do not know', () => {
    const { spec } = installed('CSIDriver', CSI_DRIVER, composed('older-kubelets'))
    const { serviceAccountTokenInSecrets, ...others } = csiDriver['spec'] as Record<string, unknown>
    expect(serviceAccountTokenInSecrets).toBe(true)
    expect(spec).toEqual(others)
  })

  test('kubelet-folder: every path, and the flag', () => {
    const spec = specOf(composed('kubelet-folder'))
    expect(JSON.stringify(spec)).not.toContain('/var/lib/kubelet')
    expect(hostPaths(spec)).toEqual(
      hostPaths(podSpec).map((path) => path.replace('/var/lib/kubelet', '/var/lib/k0s/kubelet')),
    )
    expect(at(spec, 'containers', 0, 'args', 0)).toBe('--kubelet-folder=/var/lib/k0s/kubelet')
  })

  test('pod-monitor: Prometheus reaches the port, and nobody does without', () => {
    const ports = (objects: readonly Manifest[]): unknown =>
      (at(installed('NetworkPolicy', DRIVER.name, objects), 'spec', 'ingress') as object[]).map(
        (rule) => at(rule, 'ports', 0, 'port'),
      )
    expect(ports(INSTALLED_DRIVER)).toEqual([])
    const objects = composed('pod-monitor')
    expect(ports(objects)).toEqual([DRIVER.metricsPort])
    const monitor = installed('PodMonitor', DRIVER.name, objects)
    expect(at(monitor, 'spec', 'selector')).toEqual(at(daemonSet, 'spec', 'selector'))
  })

  test('selinux, and all of them together', () => {
    const all = composed('older-kubelets', 'kubelet-folder', 'pod-monitor', 'selinux')
    expect(at(specOf(all), 'containers', 0, 'securityContext', 'seLinuxOptions')).toEqual({
      type: 'spc_t',
    })
    expect(all).toHaveLength(INSTALLED_DRIVER.length + 1)
  })
})
