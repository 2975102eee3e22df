import { AUTHORITY, spiffeId } from '../../contract/certificates.ts'
import { isOwnName } from '../../contract/dns-names.ts'
import { INJECTION_LABEL, PERMITTED_DNS_NAMES } from '../../contract/names.ts'
import type { KubeObject } from '../../service/kube/kube-client.ts'
import { permission } from '../../service/permission.ts'
import type { Identity } from '../identity/identity.ts'
import { Refusal } from '../refusal.ts'

/** What a workload asks for. */
export interface Wish {
  readonly identity: Identity
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
}

/**
 * Lets through what the namespace permits, and the identity that the certificate is for.
 *
 * @param namespace as the apiserver has it now
 * @returns the SPIFFE ID
 * @throws Refusal
 */
export function requirePermitted(
  { identity, dnsNames, uris }: Wish,
  namespace: KubeObject | undefined,
  trustDomain: string,
): string {
  const labels = (namespace?.metadata['labels'] ?? {}) as Readonly<Record<string, string>>
  if (labels[INJECTION_LABEL.key] !== INJECTION_LABEL.value) {
    throw new Refusal(
      'namespace-not-enabled',
      `namespace "${identity.namespace}" has not the label ${INJECTION_LABEL.key}=${INJECTION_LABEL.value}, which follows from its annotation ${PERMITTED_DNS_NAMES}`,
    )
  }
  const expression = namespace?.metadata.annotations?.[PERMITTED_DNS_NAMES]
  for (const name of dnsNames) requireName(name, identity.namespace, expression)
  const id = spiffeId(trustDomain, identity.namespace, identity.serviceAccount)
  const foreign = uris.find((uri) => uri !== id)
  if (foreign !== undefined) {
    throw new Refusal(
      'csr-invalid',
      `the CSR cannot be used: it claims ${JSON.stringify(foreign.slice(0, 200))}, but the workload is ${id}`,
    )
  }
  return id
}

function requireName(name: string, namespace: string, expression: string | undefined): void {
  const refused = (why: string): Refusal =>
    new Refusal(
      'name-not-permitted',
      `namespace "${namespace}" does not permit the DNS name ${name}: ${why}`,
    )
  if (isOfAuthority(name, namespace)) throw refused('it is the name of the authority itself')
  if (isOwnName(name, namespace)) return
  const permitted = permission(expression)
  if (!permitted.valid)
    throw refused(`its ${PERMITTED_DNS_NAMES} is no expression: ${permitted.why}`)
  if (permitted.permits(name)) return
  throw refused(
    expression === undefined
      ? `it has no annotation ${PERMITTED_DNS_NAMES}`
      : `${PERMITTED_DNS_NAMES} is ${JSON.stringify(expression.slice(0, 200))}`,
  )
}

/** Nobody else may answer pods that ask for certificates. */
function isOfAuthority(name: string, namespace: string): boolean {
  const own = `${AUTHORITY.service}.${AUTHORITY.namespace}`
  const isShort = namespace === AUTHORITY.namespace && name === AUTHORITY.service
  return isShort || name === own || name.startsWith(`${own}.`)
}
