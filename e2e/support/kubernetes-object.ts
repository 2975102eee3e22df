/** As much of an object as the guard's cases change. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  metadata: { name?: string; namespace?: string; labels?: Record<string, string> }
  spec?: Record<string, unknown>
}
