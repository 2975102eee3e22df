import { spiffeId } from '../../contract/certificates.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import { nameDecision, type NameContext } from '../../shared/server/dns-name-decision.ts'
import type { KubeObject } from '../../shared/server/kube/kube-client.ts'
import { permission } from '../../shared/server/permission.ts'
import type { Identity } from '../identity/identity.ts'
import { Refusal } from '../refusal.ts'

/** What a workload asks for. */
export interface PermissionRequest {
  readonly identity: Identity
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
}

/** What the names of the cluster are. */
export interface PolicySettings {
  readonly trustDomain: string
  /** Such as `cluster.local`. */
  readonly clusterDomain: string
  /** Names of the authority besides those of its Service. */
  readonly authorityNames: readonly string[]
}

/**
 * Lets through what the namespace permits, and the identity that the certificate is for.
 *
 * @param namespace as the apiserver has it now
 * @returns the SPIFFE ID
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
      `namespace "${identity.namespace}" has not the label ${INJECTION_LABEL.key}=${INJECTION_LABEL.value}, which follows from its annotation ${PERMITTED_DNS_NAMES}`,
    )
  }
  const expression = namespace?.metadata.annotations?.[PERMITTED_DNS_NAMES]
  const { namespace: own, podName } = identity
  for (const name of dnsNames)
    requireName(name, { ...settings, namespace: own, podName, expression })
  const id = spiffeId(settings.trustDomain, identity.namespace, identity.serviceAccount)
  const foreign = uris.find((uri) => uri !== id)
  if (foreign !== undefined) {
    throw new Refusal(
      'csr-invalid',
      `the CSR cannot be used: it claims ${JSON.stringify(foreign.slice(0, 200))}, but the workload is ${id}`,
    )
  }
  return id
}

/** The webhook asks the same function, so that no pod is admitted that is refused here. */
function requireName(name: string, context: NameContext): void {
  const decision = nameDecision(name, context)
  if (decision === 'own' || decision === 'permitted') return
  const why =
    decision === 'reserved'
      ? 'it belongs to the cluster or to the authority itself, and is issued to nobody'
      : whyNot(context.expression)
  throw new Refusal(
    'name-not-permitted',
    `namespace "${context.namespace}" does not permit the DNS name ${shown(name)}: ${why}`,
  )
}

function whyNot(expression: string | undefined): string {
  if (expression === undefined) return `it has no annotation ${PERMITTED_DNS_NAMES}`
  const permitted = permission(expression)
  if (!permitted.valid) return `its ${PERMITTED_DNS_NAMES} is no expression: ${permitted.why}`
  return `its ${PERMITTED_DNS_NAMES} is ${shown(expression)}`
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
