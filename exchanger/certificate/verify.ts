import { X509Certificate, type KeyObject } from 'node:crypto'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { splitCertificates } from '../../shared/x509/pem.ts'

/** Certificates: leaf and intermediates; CAs of a bundle while several are being replaced. */
const MAX = { chain: 5, bundle: 100 } as const

/** The key of a request, and the certificates of the response. */
export interface Issue {
  readonly key: KeyObject
  /** PEM, leaf first. */
  readonly certificate: string
  /** PEM. */
  readonly trustBundle: string
}

/** PEM is encoded again from the parsed certificates, so nothing else of the response reaches an app. */
export interface Verified {
  readonly certificate: string
  readonly trustBundle: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/**
 * Checks a response of the authority against the request: an app must never get a key that does not belong to
 * its certificate, another workload's identity, or a chain that its peers reject.
 *
 * @returns what may be published, or what is wrong, in plain words
 */
export function verifyIssue(
  config: Pick<CertificateConfig, 'namespace' | 'serviceAccount' | 'dnsNames'>,
  { key, certificate, trustBundle }: Issue,
  nowMs: number,
): Verified | string {
  const chain = parse(certificate, MAX.chain)
  const roots = parse(trustBundle, MAX.bundle)
  const [leaf] = chain ?? []
  if (chain === undefined || leaf === undefined) return 'the certificate is malformed'
  if (roots === undefined || roots.length === 0) return 'the trust bundle is malformed'
  if (!leaf.checkPrivateKey(key)) return 'the certificate is for another key'
  if (leaf.ca) return 'the certificate is a CA certificate'
  const notAfterMs = leaf.validToDate.getTime()
  if (!(notAfterMs > nowMs)) return `the certificate expired at ${leaf.validToDate.toISOString()}`
  const names = namesOf(leaf)
  const wrong = wrongNames(config, names)
  if (wrong !== undefined) return wrong
  if (!chainsTo(chain, roots, nowMs)) return 'the certificate does not chain to the trust bundle'
  return {
    certificate: toPem(chain),
    trustBundle: toPem(roots),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs,
  }
}

/** The CAs of a bundle, encoded again; undefined if it is empty or has a certificate that is not a CA. */
export function verifyTrustBundle(pem: string): string | undefined {
  const roots = parse(pem, MAX.bundle) ?? []
  return roots.length > 0 && roots.every(({ ca }) => ca) ? toPem(roots) : undefined
}

/** Undefined if a certificate is malformed, or there are too many. */
function parse(pem: string, max: number): X509Certificate[] | undefined {
  const parts = splitCertificates(pem)
  if (parts.length > max) return undefined
  try {
    return parts.map((part) => new X509Certificate(part))
  } catch {
    return undefined
  }
}

function toPem(certificates: readonly X509Certificate[]): string {
  return certificates.map(String).join('')
}

/** `DNS:web`, `URI:spiffe://…`; Node quotes ambiguous ones, which names of nocreds never are. */
function namesOf({ subjectAltName }: X509Certificate): string[] {
  return subjectAltName?.split(', ') ?? []
}

function wrongNames(
  { namespace, serviceAccount, dnsNames = [] }: Parameters<typeof verifyIssue>[0],
  names: readonly string[],
): string | undefined {
  const uris = names.filter((name) => name.startsWith('URI:'))
  const [, path] = /^URI:spiffe:\/\/[^/]+(\/.*)$/.exec(uris[0] ?? '') ?? []
  if (uris.length !== 1 || path !== `/ns/${namespace}/sa/${serviceAccount}`) {
    return 'the certificate is for another identity'
  }
  const missing = dnsNames.find((name) => !names.includes(`DNS:${name}`))
  return missing === undefined ? undefined : `the certificate lacks the name ${missing}`
}

/** True if each certificate is issued by the next one, and the last one by a CA of the bundle. */
function chainsTo(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): boolean {
  return chain.every((certificate, index) => {
    const issuers = index + 1 < chain.length ? chain.slice(index + 1, index + 2) : roots
    return issuers.some((issuer) => isIssuedBy(certificate, issuer, nowMs))
  })
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate, nowMs: number): boolean {
  return (
    issuer.ca &&
    issuer.validToDate.getTime() > nowMs &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  )
}
