/**
 * References of images, as far as webhook and guard compare them.
 * Source: OCI distribution specification, "Pulling manifests"; Docker, reference grammar.
 */
const DIGEST = /@sha256:[0-9a-f]{64}$/

/** The digest that the reference is pinned by, `@sha256:…`; undefined if it names only a tag. */
export function digestOf(image: string): string | undefined {
  return DIGEST.exec(image)?.[0]
}

/**
 * True if both are the same reference or have the same digest: then it is one image, whatever registry it is
 * pulled from. Names alone never make two references the same.
 */
export function isSameImage(one: string, other: string): boolean {
  const digest = digestOf(one)
  return one === other || (digest !== undefined && digest === digestOf(other))
}

/** When the kubelet checks the registry again. Source: Kubernetes, "Images". */
export const PULL_POLICIES = ['IfNotPresent', 'Always'] as const
export type PullPolicy = (typeof PULL_POLICIES)[number]
