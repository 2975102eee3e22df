/** Pods that grow in one way at a time. */

/** About 400 bytes, as small as containers in production are. */
function container(index: number, paddingBytes: number): object {
  return {
    name: `container-${index}`,
    image: 'registry.example.com/shop/checkout:4.17.2',
    env: [
      { name: 'LOG_LEVEL', value: 'info' },
      ...(paddingBytes > 0 ? [{ name: 'PADDING', value: 'x'.repeat(paddingBytes) }] : []),
    ],
    resources: { limits: { memory: '128Mi' }, requests: { cpu: '50m', memory: '64Mi' } },
    volumeMounts: [{ name: 'config', mountPath: '/etc/checkout', readOnly: true }],
    terminationMessagePath: '/dev/termination-log',
    imagePullPolicy: 'IfNotPresent',
  }
}

/** @param paddingBytes of one more environment variable in each container */
export function growingPod(
  containers: number,
  paddingBytes: number,
  serviceAccount: string,
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'checkout-' },
    spec: {
      serviceAccountName: serviceAccount,
      volumes: [{ name: 'config', configMap: { name: 'checkout-config' } }],
      containers: Array.from({ length: containers }, (_one, index) =>
        container(index, paddingBytes),
      ),
    },
  }
}
