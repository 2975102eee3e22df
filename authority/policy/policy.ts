import { spiffeId } from '../../contract/certificates.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import { nameDecision, type NameContext } from '../../shared/server/dns-name-decision.ts'
import type { KubeObject } from '../../shared/server/kube/kube-client.ts'
import { permission } from '../../shared/server/permission.ts'
import type { Identity } from '../identity/identity.ts'
import { Refusal } from '../refusal.ts'

/** The names that a workload requests. */
export interface PermissionRequest {
  readonly identity: Identity
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
}

/** Names of the cluster. */
export interface PolicySettings {
  readonly trustDomain: string
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Names of the authority in addition to those of its Service. */
  readonly authorityNames: readonly string[]
}

/**
 * Requires that the namespace permits the DNS names, and that a URI is the workload's own identity.
 *
 * @param namespace as read from the apiserver now
 * @returns the SPIFFE ID of the workload
 * @throws Refusal
 */
export function requirePermitted(
  { identity, dnsNames, uris }: PermissionRequest,
  namespace: KubeObject | undefined,
  settings: PolicySettings,
): string {
  const labels = (namespace?.metadata['labels'] ?? {}) as Readonly<Record<string, string>>
  if (labels[INJECTION_LABEL.key] !== INJECTION_LABEL.value) {
    throw new Refusal(
      'namespace-not-enabled',
      `namespace "${identity.namespace}" does not have the label ${INJECTION_LABEL.key}=${INJECTION_LABEL.value}, which the webhook sets for its annotation ${PERMITTED_DNS_NAMES}`,
    )
  }
  const expression = namespace?.metadata.annotations?.[PERMITTED_DNS_NAMES]
  const { namespace: own, podName } = identity
  for (const name of dnsNames)
    requireName(name, { ...settings, namespace: own, podName, expression })
  const id = spiffeId(settings.trustDomain, identity.namespace, identity.serviceAccount)
  const other = uris.find((uri) => uri !== id)
  if (other !== undefined) {
    throw new Refusal(
      'csr-invalid',
      `the CSR is invalid: it requests ${JSON.stringify(other.slice(0, 200))}, but the workload is ${id}`,
    )
  }
  return id
}

/** The webhook calls the same function, so a pod whose names are refused here is not admitted. */
function requireName(name: string, context: NameContext): void {
  const decision = nameDecision(name, context)
  if (decision === 'own' || decision === 'permitted') return
  const why =
    decision === 'reserved'
      ? 'it belongs to the cluster or to the authority itself, and is never issued'
      : whyNot(context.expression)
  throw new Refusal(
    'name-not-permitted',
    `namespace "${context.namespace}" does not permit the DNS name ${quoted(name)}: ${why}`,
  )
}

function whyNot(expression: string | undefined): string {
  if (expression === undefined) return `it has no annotation ${PERMITTED_DNS_NAMES}`
  const permitted = permission(expression)
  if (!permitted.valid)
    return `its ${PERMITTED_DNS_NAMES} is not a valid expression: ${permitted.why}`
  return `its ${PERMITTED_DNS_NAMES} is ${quoted(expression)}`
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
