import { describe, expect, test } from '@jest/globals'
import { ANNOTATIONS } from '../contract/annotations.ts'
import {
  AUTHORITY,
  AUTHORITY_VOLUME,
  TLS_FILES,
  TLS_VOLUME,
  TRUST_BUNDLE,
} from '../contract/certificates.ts'
import { SIDECAR_DELIVERIES, TOKEN_DELIVERIES } from '../contract/delivery.ts'
import { DRIVER_VOLUME } from '../contract/driver-volume.ts'
import { DRIVER } from '../contract/driver.ts'
import { CERTIFICATE_IN_POD, CREDENTIALS_IN_POD, toEnv } from '../contract/exchanger-env.ts'
import { exchangerResources } from '../contract/exchanger-resources.ts'
import {
  CREDENTIALS_FILES,
  CREDENTIALS_VOLUME,
  DEFAULT_AUDIENCE,
  DEFAULT_MESH_PROXIES,
  EXCHANGER,
  INJECTION_LABEL,
  PREFIX,
  PROBES,
  TOKEN_VOLUME,
  WEBHOOK,
} from '../contract/names.ts'
import { permission } from '../shared/server/permission.ts'
import {
  COVERED_PATHS,
  ETC_PATHS,
  LOADER_VARIABLES,
  PLAIN_PATH,
} from '../webhook/admit/inject/reach.ts'
import { FLAGS, parseFlags } from '../webhook/config.ts'
import {
  at,
  documentsIn,
  FILES,
  HAS_KUBECTL,
  installed,
  INSTALLED,
  kustomized,
  textOf,
  SLOT_VOLUMES,
  type Manifest,
} from './manifests.test-data.ts'

/** Of the overlay guard-cluster-wide. */
const STS_TOKENS = documentsIn(textOf('overlays/guard-cluster-wide/sts-tokens.yaml'))

const TEXT = FILES.map(textOf).join('\n')

function found(pattern: RegExp): string[] {
  return [...new Set([...TEXT.matchAll(pattern)].map(([match]) => match))].sort()
}

const deployment = installed('Deployment', 'nocreds-webhook')
const podSpec = at(deployment, 'spec', 'template', 'spec')
const webhookContainer = at(podSpec, 'containers', 0)
const settings = at(installed('ConfigMap', 'nocreds-settings'), 'data') as Record<string, string>
const webhooks = at(installed('MutatingWebhookConfiguration', 'nocreds'), 'webhooks') as unknown[]

/**
 * The command line as the kubelet makes it: references to variables, taken from the ConfigMap; one whose
 * key is missing there stays as it is.
 */
function commandLine(container: unknown, has: (key: string) => boolean = () => true): string[] {
  const env = at(container, 'env') as unknown[]
  const valueOf = (whole: string, name: string): string => {
    const reference = env.find((one) => at(one, 'name') === name)
    expect(at(reference, 'valueFrom', 'configMapKeyRef', 'name')).toBe('nocreds-settings')
    const key = at(reference, 'valueFrom', 'configMapKeyRef', 'key') as string
    return has(key) ? (at(settings, key) as string) : whole
  }
  return (at(container, 'args') as string[]).map((arg) => arg.replace(/\$\(([A-Z_]+)\)/g, valueOf))
}

describe('names of the contract', () => {
  test('annotations and label', () => {
    const known = Object.values(ANNOTATIONS).flatMap((of) =>
      Object.keys(of).map((key) => PREFIX + key),
    )
    const used = found(/(?<![./\w])nocreds\.dev\/[\w-]+/g)
    const { audience, signerName } = AUTHORITY
    expect([...known, INJECTION_LABEL.key, audience, signerName]).toEqual(
      expect.arrayContaining(used),
    )
    for (const key of ['permitted-roles', 'role-arn', 'injected-role', 'delivery', 'authority']) {
      expect(used).toContain(PREFIX + key)
    }
    expect(TEXT).toContain(`${INJECTION_LABEL.key}: ${INJECTION_LABEL.value}`)
  })

  test('paths in a pod', () => {
    expect(found(/\/var\/run\/secrets\/nocreds\.dev\/[\w/.-]+/g)).toEqual(
      [
        ...[TOKEN_VOLUME, CREDENTIALS_VOLUME, AUTHORITY_VOLUME, TLS_VOLUME, DRIVER_VOLUME].map(
          ({ mountPath }) => mountPath,
        ),
        TOKEN_VOLUME.file,
        CERTIFICATE_IN_POD.tlsFolder,
        `${CREDENTIALS_VOLUME.mountPath}/${CREDENTIALS_FILES.document}`,
        `${CERTIFICATE_IN_POD.tlsFolder}/${TLS_FILES.certificate}`,
      ].sort(),
    )
    expect(found(/\/dev\/[\w-]+/g)).toEqual([EXCHANGER.terminationMessagePath])
  })

  test('commands of the exchanger', () => {
    const literal = (word: string): string =>
      `[${[...EXCHANGER.program, word].map((one) => `'${one}'`).join(', ')}]`
    expect(found(/\['node'[^\]]*\]/g)).toEqual(['ready', 'run', 'wait'].map(literal))
  })

  test('what others may add to the exchanger: guard and webhook draw one line', () => {
    const guard = textOf('guard/pods.yaml')
    const { pattern, names } = LOADER_VARIABLES
    const patterns = [pattern, ...Object.values(PLAIN_PATH), ...COVERED_PATHS]
    for (const one of [...patterns, ...Object.values(ETC_PATHS)]) {
      expect(guard).toContain(`.matches('${one}')`)
    }
    const [, list = ''] = /e\.name in \[('PATH'[^\]]*)\]/.exec(guard) ?? []
    expect([...list.matchAll(/'([A-Z_]+)'/g)].map(([, name]) => name)).toEqual(names)
    // Every pattern of the guard's two rules is one of those.
    const [, mounts = ''] = /name: foreignMounts([^]*?)- name: foreignVariables/.exec(guard) ?? []
    expect([...mounts.matchAll(/matches\(/g)]).toHaveLength(patterns.length + 2 - 1)
  })

  test('variables of the exchanger', () => {
    const env = toEnv(
      {
        roleArn: 'arn:aws:iam::111122223333:role/app',
        delivery: 'process',
        sessionDurationSeconds: 3600,
        sessionName: 'app',
        namespace: 'team-a',
        serviceAccount: 'app',
        audience: DEFAULT_AUDIENCE,
        region: 'eu-central-1',
        containerRoleArns: ['arn:aws:iam::444455556666:role/other'],
        targetRoleArn: 'arn:aws:iam::444455556666:role/target',
        externalId: 'id',
        sessionTags: [{ key: 'team', value: 'a' }],
        defaultTags: { clusterArn: 'arn:aws:eks:::cluster/one', clusterName: 'one' },
        sessionPolicy: '{}',
        sessionPolicyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'],
        stsEndpoint: 'https://sts.example.com',
        stsProxy: 'http://proxy.example.com:3128',
        stsNoProxy: '.example.com',
        stsCa: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----',
        ...CREDENTIALS_IN_POD,
      },
      {
        namespace: 'team-a',
        serviceAccount: 'app',
        authorityUrl: 'https://authority.example.com',
        durationSeconds: 3600,
        dnsNames: ['web'],
        ...CERTIFICATE_IN_POD,
      },
    ).map(({ name }) => name)
    // The guard knows each of them, and so do the pods of an older webhook.
    expect(found(/NOCREDS_[A-Z_]*[A-Z]/g)).toEqual(env.sort())
  })

  test('deliveries: the guard knows those with a sidecar, and those where the app holds the token', () => {
    const [, names = ''] = /'NOCREDS_DELIVERY': \[([^\]]*)\]/.exec(TEXT) ?? []
    expect(names.split(', ')).toEqual(SIDECAR_DELIVERIES.map((name) => `'${name}'`))
    expect(found(/(?<=delivery'\]\.orValue\(''\) == ')[^']*/g)).toEqual(TOKEN_DELIVERIES)
  })

  test('volumes, container and objects: no other name starts with nocreds-', () => {
    const objects = [...INSTALLED.map(({ metadata }) => metadata.name), 'nocreds-guard']
    const ofOverlays = ['nocreds-cluster-wide', ...STS_TOKENS.map(({ metadata }) => metadata.name)]
    const ofCertManager = ['nocreds-ca', 'nocreds-self-signed', 'nocreds-webhook-certificate']
    const ofClientCa = ['nocreds-client-ca', 'nocreds-webhook-client-ca']
    const volumes = [TOKEN_VOLUME, ...SLOT_VOLUMES, AUTHORITY_VOLUME, TLS_VOLUME]
    const reserved = [TRUST_BUNDLE.configMap, EXCHANGER.container]
    const contract = [...volumes.map(({ name }) => name), ...reserved, DRIVER_VOLUME.name]
    const used = found(/(?<![\w/])nocreds-[\w-]*\w/g)
    expect([...objects, ...ofOverlays, ...ofCertManager, ...ofClientCa, ...contract]).toEqual(
      expect.arrayContaining(used),
    )
    expect(used).toEqual(expect.arrayContaining(contract))
  })

  test('audience', () => {
    expect(settings['audience']).toBe(DEFAULT_AUDIENCE)
  })

  test('longest expression that can permit a role', () => {
    const [limit, ...others] = found(/(?<=&& variables\.permitted\w*\.size\(\) <= )\d+/g).map(
      Number,
    )
    expect(others).toEqual([])
    expect(permission('a'.repeat(limit!)).valid).toBe(true)
    expect(permission('a'.repeat(limit! + 1)).valid).toBe(false)
  })
})

describe('one place for what webhook and guard must agree on', () => {
  test.each([
    'nocreds/webhook:',
    'nocreds/authority:',
    'nocreds/exchanger:',
    `audience: ${DEFAULT_AUDIENCE}`,
  ])('%s', (text) => {
    expect(textOf('install.yaml').split(text)).toHaveLength(2)
  })

  test('the guard reads the ConfigMap that the webhook has its flags from, and fails closed', () => {
    const bindings = INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicyBinding')
    for (const { spec } of bindings) {
      const policy = installed('ValidatingAdmissionPolicy', at(spec, 'policyName') as string)
      expect(at(policy, 'spec', 'failurePolicy')).toBe('Fail')
      const reads = JSON.stringify(policy).includes('params.')
      expect('paramKind' in (policy['spec'] as object)).toBe(reads)
      expect((spec as Record<string, unknown>)['paramRef']).toEqual(
        reads
          ? {
              name: 'nocreds-settings',
              namespace: 'nocreds-system',
              parameterNotFoundAction: 'Deny',
            }
          : undefined,
      )
    }
    expect(bindings.map(({ metadata }) => metadata.name).sort()).toEqual(
      INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy')
        .map(({ metadata }) => metadata.name)
        .sort(),
    )
    const ofGuard = found(/(?<=params\.\?data\[\?')\w+/g)
    expect(ofGuard.length).toBeGreaterThan(2)
    // Where the authority is reached by another URL, an operator adds it.
    expect(Object.keys(settings).concat('authorityUrl')).toEqual(expect.arrayContaining(ofGuard))
  })

  test('each setting is one that the webhook has its flags from, and the later ones may be missing', () => {
    const references = (at(webhookContainer, 'env') as unknown[]).map(
      (one) => at(one, 'valueFrom', 'configMapKeyRef') as { key: string; optional?: boolean },
    )
    expect(references.map(({ key }) => key).sort()).toEqual(Object.keys(settings).sort())
    const needed = references.filter(({ optional }) => optional !== true).map(({ key }) => key)
    expect(needed).toEqual(['exchangerImage', 'audience', 'stsEndpoint'])
  })
})

describe('Deployment', () => {
  const config = parseFlags(commandLine(webhookContainer))

  test('its command line is one that the webhook takes, with the settings in it', () => {
    expect(config).toMatchObject({
      'exchanger-image': settings['exchangerImage'],
      'exchanger-image-pull-policy': settings['exchangerImagePullPolicy'],
      'exchanger-user': EXCHANGER.userId,
      'exchanger-resources': exchangerResources.parse(settings['exchangerResources'] ?? ''),
      'mesh-proxies': DEFAULT_MESH_PROXIES,
      audience: settings['audience'],
      'sts-http': settings['stsHttp'],
      'cluster-domain': settings['clusterDomain'],
      'trust-bundle': settings['trustBundle'],
      tls: 'self-managed',
    })
  })

  test('with the settings of an older installation, the flags have the values of the new one', () => {
    const older = ['exchangerImage', 'audience', 'stsEndpoint']
    const line = commandLine(webhookContainer, (key) => older.includes(key))
    expect(line.join(' ')).toContain('$(STS_HTTP)')
    expect(parseFlags(line)).toEqual(config)
  })

  test('the objects that the webhook expects exist', () => {
    const { namespace } = config
    for (const [kind, name] of [
      ['Service', config.service],
      ['Secret', config['tls-secret']],
    ] as const) {
      expect(installed(kind, name).metadata.namespace).toBe(namespace)
    }
    expect(installed('MutatingWebhookConfiguration', config['webhook-configuration'])).toBeDefined()
    expect(deployment.metadata.namespace).toBe(namespace)
  })

  test('ports and probes', () => {
    const ports = at(webhookContainer, 'ports') as { name: string; containerPort: number }[]
    expect(Object.fromEntries(ports.map((port) => [port.name, port.containerPort]))).toEqual({
      admission: WEBHOOK.port,
      metrics: WEBHOOK.metricsPort,
    })
    const probe = (name: string): unknown => at(webhookContainer, name, 'httpGet')
    expect(probe('livenessProbe')).toEqual({ path: PROBES.live, port: 'metrics' })
    expect(probe('startupProbe')).toEqual({ path: PROBES.live, port: 'metrics' })
    expect(probe('readinessProbe')).toEqual({ path: PROBES.ready, port: 'metrics' })
    const ingress = at(installed('NetworkPolicy', 'nocreds-webhook'), 'spec', 'ingress', 0, 'ports')
    expect((ingress as { port: number }[]).map(({ port }) => port)).toEqual([
      WEBHOOK.port,
      WEBHOOK.metricsPort,
    ])
  })

  test('passes the Pod Security level restricted, which its namespace enforces', () => {
    expect(at(podSpec, 'securityContext')).toEqual({
      runAsNonRoot: true,
      runAsUser: EXCHANGER.userId,
      runAsGroup: EXCHANGER.userId,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(at(webhookContainer, 'securityContext')).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const labels = at(installed('Namespace', 'nocreds-system'), 'metadata', 'labels')
    expect(labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
  })

  test('a rollout or a drain never takes the last ready replica', () => {
    expect(at(deployment, 'spec', 'replicas')).toBe(2)
    expect(at(deployment, 'spec', 'strategy', 'rollingUpdate', 'maxUnavailable')).toBe(0)
    expect(at(installed('PodDisruptionBudget', 'nocreds-webhook'), 'spec', 'minAvailable')).toBe(1)
    expect(installed('PriorityClass', at(podSpec, 'priorityClassName') as string)).toBeDefined()
  })
})

describe('webhook configuration', () => {
  const [pods, namespaces] = webhooks

  test('calls the Service on the paths of the contract', () => {
    const service = installed('Service', 'nocreds-webhook')
    const reference = (path: string): object => ({
      namespace: service.metadata.namespace,
      name: service.metadata.name,
      port: at(service, 'spec', 'ports', 0, 'port'),
      path,
    })
    expect(at(pods, 'clientConfig')).toEqual({ service: reference(WEBHOOK.paths.pods) })
    expect(at(namespaces, 'clientConfig')).toEqual({ service: reference(WEBHOOK.paths.namespaces) })
    expect(at(service, 'spec', 'selector')).toEqual(
      at(deployment, 'spec', 'selector', 'matchLabels'),
    )
  })

  test.each(webhooks.map((one) => [at(one, 'name') as string, one]))('%s', (_, webhook) => {
    expect(webhook).toMatchObject({
      failurePolicy: 'Fail',
      reinvocationPolicy: 'IfNeeded',
      matchPolicy: 'Equivalent',
      sideEffects: 'None',
      timeoutSeconds: 5,
      admissionReviewVersions: ['v1'],
    })
  })

  test('Pods: of labelled namespaces, and never those of the webhook itself', () => {
    expect(at(pods, 'rules', 0)).toMatchObject({ resources: ['pods'], operations: ['CREATE'] })
    expect(at(pods, 'namespaceSelector')).toEqual({
      matchLabels: { [INJECTION_LABEL.key]: INJECTION_LABEL.value },
      matchExpressions: [
        {
          key: 'kubernetes.io/metadata.name',
          operator: 'NotIn',
          values: ['nocreds-system', DRIVER.namespace],
        },
      ],
    })
  })

  test('Namespaces: only those that concern nocreds', () => {
    expect(at(namespaces, 'rules', 0)).toMatchObject({
      resources: ['namespaces'],
      operations: ['CREATE', 'UPDATE'],
    })
    expect(at(namespaces, 'matchConditions', 0, 'expression')).toContain(`'${PREFIX}'`)
  })
})

describe('rights of the webhook', () => {
  const rulesOf = (objects: readonly Manifest[]): unknown[] =>
    objects
      .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role')
      .flatMap((role) =>
        (at(role, 'rules') as object[]).map((rule) => ({ of: role.kind, ...rule })),
      )
  const READS = {
    of: 'ClusterRole',
    apiGroups: [''],
    resources: ['namespaces', 'serviceaccounts'],
    verbs: ['get', 'list', 'watch'],
  }
  const LABELS = { of: 'ClusterRole', apiGroups: [''], resources: ['namespaces'], verbs: ['patch'] }
  const NODES = { of: 'ClusterRole', apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] }

  test('are these and no others', () => {
    const ofWebhook = INSTALLED.filter(({ metadata }) =>
      metadata.name.startsWith('nocreds-webhook'),
    )
    expect(rulesOf(ofWebhook)).toEqual([
      READS,
      LABELS,
      NODES,
      {
        of: 'ClusterRole',
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['mutatingwebhookconfigurations'],
        resourceNames: ['nocreds'],
        verbs: ['get', 'patch'],
      },
      {
        of: 'Role',
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['nocreds-webhook-tls'],
        verbs: ['get', 'update'],
      },
    ])
  })

  const whereKubectlIs = HAS_KUBECTL ? test : test.skip
  whereKubectlIs('with cert-manager are those of Namespaces alone, and the flags say so', () => {
    const overlay = kustomized('overlays/cert-manager')
    expect(rulesOf(overlay)).toEqual([READS, LABELS, NODES])
    const only = overlay.find(({ kind }) => kind === 'Deployment')
    const container = at(only, 'spec', 'template', 'spec', 'containers', 0)
    const { tls, 'tls-cert': certificate, 'tls-key': key } = parseFlags(commandLine(container))
    const folder = at(container, 'volumeMounts', 0, 'mountPath') as string
    expect({ tls, certificate, key }).toEqual({
      tls: 'files',
      certificate: `${folder}/tls.crt`,
      key: `${folder}/tls.key`,
    })
    expect(overlay.filter(({ kind }) => kind === 'Secret')).toEqual([])
  })
})

test('every flag in the manifests is one of the webhook', () => {
  const flags = found(/(?<=^\s*(?:- |value: ))--[a-z-]+/gm).map((flag) => flag.slice(2))
  expect(flags.length).toBeGreaterThan(0)
  expect(Object.keys(FLAGS)).toEqual(expect.arrayContaining(flags))
})
