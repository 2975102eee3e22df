import type { Pod } from '../pod.ts'

/** The namespace of a pod, with what it permits. */
export interface PermittingNamespace {
  readonly namespace: string
  /** Undefined if the apiserver knows no such Namespace. */
  readonly namespaceAnnotations: Readonly<Record<string, string>> | undefined
}

/** The pod, and the namespace that permits. */
export interface PermissionFacts extends PermittingNamespace {
  readonly pod: Pod
}
