/** The reviews that the measurements send: what an apiserver posts for a pod of a Deployment. */

export const EXCHANGER_IMAGE = 'nocreds/exchanger:0.1.0'
export const NAMESPACE = 'team-a'
export const SERVICE_ACCOUNT = 'checkout'
export const ROLE = 'arn:aws:iam::111122223333:role/team-a/checkout'

const LABELS = {
  'app.kubernetes.io/name': 'checkout',
  'app.kubernetes.io/part-of': 'shop',
  'app.kubernetes.io/version': '4.17.2',
  'pod-template-hash': '6d5f4b9c7d',
}

const probe = (path: string, periodSeconds: number): object => ({
  httpGet: { path, port: 'http', scheme: 'HTTP' },
  initialDelaySeconds: 5,
  timeoutSeconds: 2,
  periodSeconds,
  successThreshold: 1,
  failureThreshold: 3,
})

const variable = (name: string, value: string): object => ({ name, value })
const fromField = (name: string, fieldPath: string): object => ({
  name,
  valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
})
const fromSecret = (name: string, key: string): object => ({
  name,
  valueFrom: { secretKeyRef: { name: 'checkout-database', key } },
})

const API_ACCESS = 'kube-api-access-x7k2p'
const MOUNTS = [
  { name: 'config', readOnly: true, mountPath: '/etc/checkout' },
  { name: 'cache', mountPath: '/var/cache/checkout' },
  {
    name: API_ACCESS,
    readOnly: true,
    mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
  },
]

const SECURITY_CONTEXT = {
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
}

const APP_CONTAINER = {
  name: 'checkout',
  image: 'registry.example.com/shop/checkout:4.17.2',
  args: ['serve', '--listen=:8080', '--metrics=:9102', '--config=/etc/checkout/config.yaml'],
  ports: [
    { name: 'http', containerPort: 8080, protocol: 'TCP' },
    { name: 'metrics', containerPort: 9102, protocol: 'TCP' },
  ],
  env: [
    fromField('POD_NAME', 'metadata.name'),
    fromField('POD_NAMESPACE', 'metadata.namespace'),
    fromField('NODE_NAME', 'spec.nodeName'),
    variable('LOG_LEVEL', 'info'),
    variable('BUCKET', 'shop-checkout-receipts'),
    variable('QUEUE_URL', 'https://sqs.eu-central-1.amazonaws.com/111122223333/orders'),
    variable('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector.observability:4317'),
    fromSecret('DATABASE_USER', 'user'),
    fromSecret('DATABASE_PASSWORD', 'password'),
  ],
  resources: { limits: { memory: '1Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
  volumeMounts: MOUNTS,
  livenessProbe: probe('/livez', 10),
  readinessProbe: probe('/readyz', 5),
  lifecycle: { preStop: { exec: { command: ['/bin/sleep', '5'] } } },
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'IfNotPresent',
  securityContext: SECURITY_CONTEXT,
}

const AGENT_CONTAINER = {
  name: 'agent',
  image: 'registry.example.com/observability/agent:2.3.1',
  args: ['--listen=127.0.0.1:9000'],
  env: [variable('LOG_LEVEL', 'info')],
  resources: { limits: { memory: '128Mi' }, requests: { cpu: '50m', memory: '64Mi' } },
  volumeMounts: MOUNTS.slice(2),
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'IfNotPresent',
  securityContext: SECURITY_CONTEXT,
}

const INIT_CONTAINER = {
  name: 'migrate',
  image: 'registry.example.com/shop/checkout:4.17.2',
  command: ['/checkout', 'migrate'],
  env: [fromSecret('DATABASE_USER', 'user'), fromSecret('DATABASE_PASSWORD', 'password')],
  resources: {},
  volumeMounts: MOUNTS,
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'IfNotPresent',
  securityContext: SECURITY_CONTEXT,
}

const VOLUMES = [
  { name: 'config', configMap: { name: 'checkout-config', defaultMode: 420 } },
  { name: 'cache', emptyDir: { sizeLimit: '1Gi' } },
  {
    name: API_ACCESS,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        {
          configMap: {
            name: 'kube-root-ca.crt',
            items: [{ key: 'ca.crt', path: 'ca.crt' }],
          },
        },
        {
          downwardAPI: {
            items: [
              {
                path: 'namespace',
                fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' },
              },
            ],
          },
        },
      ],
      defaultMode: 420,
    },
  },
]

const METADATA = {
  generateName: 'checkout-6d5f4b9c7d-',
  creationTimestamp: null,
  labels: LABELS,
  annotations: {
    'kubectl.kubernetes.io/restartedAt': '2026-11-20T09:12:44Z',
    'prometheus.io/port': '9102',
    'prometheus.io/scrape': 'true',
  },
  ownerReferences: [
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'checkout-6d5f4b9c7d',
      uid: '0b0f6f9e-1a53-4c69-8a59-1f4b8f3c2f11',
      controller: true,
      blockOwnerDeletion: true,
    },
  ],
}

/** The Pod of 5 kB as its creator sent it, with the apiserver's defaults. */
function realisticPod(): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: METADATA,
    spec: {
      volumes: VOLUMES,
      initContainers: [INIT_CONTAINER],
      containers: [APP_CONTAINER, AGENT_CONTAINER],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: SERVICE_ACCOUNT,
      serviceAccount: SERVICE_ACCOUNT,
      securityContext: { runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001 },
      affinity: {},
      schedulerName: 'default-scheduler',
      tolerations: ['not-ready', 'unreachable'].map((condition) => ({
        key: `node.kubernetes.io/${condition}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      })),
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'topology.kubernetes.io/zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'checkout' } },
        },
      ],
    },
    status: {},
  }
}

/**
 * The AdmissionReview that carries a pod; without one the realistic review of 5.9 kB.
 * Source: Kubernetes, "Dynamic Admission Control".
 */
export function podReview(pod: object = realisticPod()): object {
  const resource = { group: '', version: 'v1', resource: 'pods' }
  const kind = { group: '', version: 'v1', kind: 'Pod' }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '3c0f1de2-1f2b-4a0e-9a0e-6f1d2b3c4d5e',
      kind,
      resource,
      requestKind: kind,
      namespace: NAMESPACE,
      operation: 'CREATE',
      userInfo: {
        username: 'system:serviceaccount:kube-system:replicaset-controller',
        groups: ['system:serviceaccounts', 'system:authenticated'],
      },
      object: pod,
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
    },
  }
}
