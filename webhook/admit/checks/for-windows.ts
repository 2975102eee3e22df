import { containersOf, type Pod } from '../pod.ts'

/** The second one is the label from before Kubernetes 1.14, which nodes still have. */
const OS_LABELS: readonly string[] = ['kubernetes.io/os', 'beta.kubernetes.io/os']

/**
 * Whether a pod can run on Windows nodes only: it says so, or other nodes are excluded. A pod that says Linux is
 * for Linux. Source: Kubernetes, "Windows containers", and API reference, PodOS, NodeSelectorTerm.
 */
export function isForWindows(pod: Pod): boolean {
  const os = pod.spec.os?.name
  if (os) return os === 'windows'
  return isSelected(pod) || hasAffinity(pod) || isHostProcess(pod)
}

function isSelected({ spec: { nodeSelector } }: Pod): boolean {
  return OS_LABELS.some((label) => nodeSelector?.[label] === 'windows')
}

/** A node needs to match one term only, so each term must require Windows. */
function hasAffinity({ spec: { affinity } }: Pod): boolean {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const terms = required?.nodeSelectorTerms ?? []
  return (
    terms.length > 0 &&
    terms.every(({ matchExpressions }) =>
      matchExpressions?.some(
        ({ key, operator, values }) =>
          OS_LABELS.includes(key) &&
          operator === 'In' &&
          values?.length !== 0 &&
          values?.every((value) => value === 'windows') === true,
      ),
    )
  )
}

function isHostProcess(pod: Pod): boolean {
  return [pod.spec, ...containersOf(pod)].some(
    ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true,
  )
}
