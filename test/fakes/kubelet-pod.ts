/** Test double: the fields of a Pod that the testbed's kubelet reads. Never shipped. */

/** Source: Kubernetes API reference, Pod v1. */
export interface KubeletPod {
  readonly metadata: { readonly name?: string; readonly namespace?: string }
  readonly spec: {
    readonly serviceAccountName?: string
    readonly volumes?: readonly KubeletVolume[]
    readonly initContainers?: readonly KubeletContainer[]
    readonly containers: readonly KubeletContainer[]
  }
}

export interface KubeletVolume {
  readonly name: string
  readonly emptyDir?: object
  readonly projected?: {
    readonly sources: readonly {
      readonly serviceAccountToken?: {
        readonly audience: string
        readonly expirationSeconds?: number
        readonly path: string
      }
      readonly configMap?: {
        readonly name: string
        readonly items?: readonly { readonly key: string; readonly path: string }[]
      }
    }[]
  }
}

export interface KubeletContainer {
  readonly name: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly KubeletEnvVar[]
  readonly volumeMounts?: readonly {
    readonly name: string
    readonly mountPath: string
    readonly subPath?: string
  }[]
  readonly lifecycle?: {
    readonly postStart?: { readonly exec?: { readonly command: readonly string[] } }
  }
  readonly terminationMessagePath?: string
  readonly terminationMessagePolicy?: string
}

export interface KubeletEnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } }
}

/** What the apiserver has made sure of before a kubelet sees the pod. */
export interface PodIdentity {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
}

/** @throws Error if the pod has no name or namespace yet */
export function identityOf(pod: KubeletPod): PodIdentity {
  const { name, namespace } = pod.metadata
  if (!name || !namespace) {
    throw new Error('a kubelet sees pods with metadata.name and metadata.namespace only')
  }
  return { name, namespace, serviceAccount: pod.spec.serviceAccountName || 'default' }
}

/** @throws Error if the pod has no such container */
export function containerOf(pod: KubeletPod, name: string): KubeletContainer {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
  const found = all.find((container) => container.name === name)
  if (found === undefined) {
    const names = all.map((container) => container.name).join(', ')
    throw new Error(`the pod has no container ${name}; it has ${names}`)
  }
  return found
}
