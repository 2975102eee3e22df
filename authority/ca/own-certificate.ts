import { createPublicKey, X509Certificate } from 'node:crypto'
import { AUTHORITY } from '../../contract/certificates.ts'
import { NocredsError } from '../../shared/base/errors.ts'
import type { NameContext } from '../../shared/server/dns-name-decision.ts'
import { issueLeaf, keyPemOf, newKey, type Issuer } from '../../shared/x509/certificate.ts'
import { isExpired } from '../../shared/x509/lifetime.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { isSignedBy } from './state.ts'

/** What the authority's own server serves with; kept in memory only. */
export interface OwnCertificate extends ServingCertificate {
  /** When it is to be replaced: after half of its life. */
  readonly dueAtMs: number
  /** PEM of the CA that signed it, and of what leads to its root. */
  readonly signedBy: string
}

/** The CA before the present one, as long as it signs the authority's own certificate. */
export interface PreviousCa {
  readonly issuer: Issuer
  readonly untilMs: number
}

/** Names by which pods may call the authority; no workload gets any of them. */
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

/** The CA as it is now. */
interface Now {
  readonly issuer: Issuer
  readonly bundlePem: string
  readonly nowMs: number
  /** Of the longest leaf. */
  readonly lifetimeSeconds: number
}

/**
 * Who signs the authority's own certificate instead of the present CA, if anyone. Where the root is
 * another, it is the CA before, for the life of a leaf: a pod that was cut off while the new root was in the
 * bundle alone knows only the old one. It renews in that time, over a connection that it can verify, or its
 * certificate expires and it begins again with the mounted trust bundle. Who knows the new bundle accepts both.
 */
export function previousCaOf(
  before: { readonly issuer: Issuer; readonly former: PreviousCa | undefined } | undefined,
  { issuer, bundlePem, nowMs, lifetimeSeconds }: Now,
): PreviousCa | undefined {
  if (before === undefined) return undefined
  const isSame = before.issuer.chainPem === issuer.chainPem
  const untilMs = nowMs + lifetimeSeconds * 1000
  const former = before.former ?? (isSame ? undefined : { issuer: before.issuer, untilMs })
  if (former === undefined || nowMs >= former.untilMs) return undefined
  if (isExpired(former.issuer.certificate, nowMs)) return undefined
  const roots = splitPem(bundlePem).map((pem) => new X509Certificate(pem))
  const formerRoots = roots.filter((root) => isBelow(former.issuer, root))
  const isTrusted = formerRoots.length > 0
  const isSameRoot = formerRoots.some((root) => isBelow(issuer, root))
  return isTrusted && !isSameRoot ? former : undefined
}

function isBelow({ chainPem }: Issuer, root: X509Certificate): boolean {
  const top = splitPem(chainPem).at(-1)
  return top !== undefined && isSignedBy(new X509Certificate(top), root)
}
