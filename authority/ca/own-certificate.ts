import { createPublicKey, X509Certificate } from 'node:crypto'
import { AUTHORITY } from '../../contract/certificates.ts'
import { NocredsError } from '../../shared/base/errors.ts'
import type { NameContext } from '../../shared/server/dns-name-decision.ts'
import { issueLeaf, keyPemOf, newKey } from '../../shared/x509/certificate.ts'
import type { Issuer } from '../../shared/x509/issuer.ts'
import { isExpired } from '../../shared/x509/lifetime.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { isSignedBy } from './state.ts'

/** The certificate of the authority's own server; kept in memory only. */
export interface OwnCertificate extends ServingCertificate {
  /** When it must be replaced: after half of its lifetime. */
  readonly dueAtMs: number
  /** PEM chain of the CA that signed it. */
  readonly signedBy: string
}

/** The CA before the active one, as long as it signs the authority's own certificate. */
export interface PreviousCa {
  readonly issuer: Issuer
  readonly untilMs: number
}

/** Names that pods may use to reach the authority; they are never issued to workloads. */
export function serverNames({
  clusterDomain,
  authorityNames,
}: Pick<NameContext, 'clusterDomain' | 'authorityNames'>): string[] {
  return [
    AUTHORITY.host,
    `${AUTHORITY.host}.${clusterDomain}`,
    `${AUTHORITY.service}.${AUTHORITY.namespace}`,
    AUTHORITY.service,
    ...authorityNames,
  ]
}

export interface OwnRequest {
  readonly dnsNames: readonly string[]
  readonly nowMs: number
  /** From notBefore to notAfter. */
  readonly lifetimeSeconds: number
}

/** Issued like a workload's. @throws NocredsError `ERR_ISSUER` if what the CA signs cannot be verified */
export async function ownCertificate(issuer: Issuer, request: OwnRequest): Promise<OwnCertificate> {
  const key = await newKey()
  const { chainPem, notBeforeMs, notAfterMs } = issueLeaf({
    ...request,
    issuer,
    key: createPublicKey(key),
  })
  const pair = readPair(chainPem, keyPemOf(key))
  if (!isSignedBy(new X509Certificate(chainPem), issuer.certificate)) {
    throw new NocredsError('ERR_ISSUER', 'what ca-signing.key signs cannot be verified')
  }
  return { ...pair, dueAtMs: (notBeforeMs + notAfterMs) / 2, signedBy: issuer.chainPem }
}

/** The CA that was just read. */
interface CurrentCa {
  readonly issuer: Issuer
  readonly bundlePem: string
  readonly nowMs: number
  /** Longest lifetime of a leaf. */
  readonly lifetimeSeconds: number
}

/**
 * The CA that signs the authority's own certificate instead of the active CA, if any. If the root has changed,
 * this is the previous CA, for the lifetime of one leaf: a pod that was disconnected while the new root was
 * distributed knows only the old root. Within that time it renews over a connection that it can verify, or its
 * certificate expires and it starts again with the mounted trust bundle. Pods with the new bundle accept both.
 */
export function previousCaOf(
  before: { readonly issuer: Issuer; readonly previous: PreviousCa | undefined } | undefined,
  { issuer, bundlePem, nowMs, lifetimeSeconds }: CurrentCa,
): PreviousCa | undefined {
  if (before === undefined) return undefined
  const isSame = before.issuer.chainPem === issuer.chainPem
  const untilMs = nowMs + lifetimeSeconds * 1000
  const previous = before.previous ?? (isSame ? undefined : { issuer: before.issuer, untilMs })
  if (previous === undefined || nowMs >= previous.untilMs) return undefined
  if (isExpired(previous.issuer.certificate, nowMs)) return undefined
  const roots = splitPem(bundlePem).map((pem) => new X509Certificate(pem))
  const previousRoots = roots.filter((root) => isSignedByRoot(previous.issuer, root))
  const isTrusted = previousRoots.length > 0
  const isSameRoot = previousRoots.some((root) => isSignedByRoot(issuer, root))
  return isTrusted && !isSameRoot ? previous : undefined
}

function isSignedByRoot({ chainPem }: Issuer, root: X509Certificate): boolean {
  const top = splitPem(chainPem).at(-1)
  return top !== undefined && isSignedBy(new X509Certificate(top), root)
}
