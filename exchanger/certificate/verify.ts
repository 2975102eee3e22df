import { X509Certificate, type KeyObject } from 'node:crypto'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { splitCertificates } from '../../shared/x509/pem.ts'

/** Leaf and intermediates; and how many CAs a bundle may hold while several are replaced. */
const MAX = { chain: 5, bundle: 100 } as const

/** What was asked for, and what came. */
export interface Issue {
  readonly key: KeyObject
  /** PEM, leaf first. */
  readonly certificate: string
  /** PEM. */
  readonly trustBundle: string
}

/** PEM anew from what was read, so nothing else of the answer reaches an app. */
export interface Verified {
  readonly certificate: string
  readonly trustBundle: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/**
 * Holds an answer of the authority against what was asked: an app must never get a key that does not
 * belong to its certificate, another's identity, or a chain that its peers refuse.
 *
 * @returns what an app may have, or what is wrong, in plain words
 */
export function verifyIssue(
  config: Pick<CertificateConfig, 'namespace' | 'serviceAccount' | 'dnsNames'>,
  { key, certificate, trustBundle }: Issue,
  nowMs: number,
): Verified | string {
  const chain = parse(certificate, MAX.chain)
  const roots = parse(trustBundle, MAX.bundle)
  const [leaf] = chain ?? []
  if (chain === undefined || leaf === undefined) return 'the certificate cannot be read'
  if (roots === undefined || roots.length === 0) return 'the trust bundle cannot be read'
  if (!leaf.checkPrivateKey(key)) return 'the certificate is for another key'
  if (leaf.ca) return 'the certificate is one of a CA'
  const notAfterMs = leaf.validToDate.getTime()
  if (!(notAfterMs > nowMs)) return `the certificate ended at ${leaf.validToDate.toISOString()}`
  const names = namesOf(leaf)
  const wrong = wrongNames(config, names)
  if (wrong !== undefined) return wrong
  if (!leadsTo(chain, roots, nowMs))
    return 'no chain leads from the certificate to the trust bundle'
  return {
    certificate: toPem(chain),
    trustBundle: toPem(roots),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs,
  }
}

/** The CAs of a bundle, written again; undefined if there is none, or something that is not a CA. */
export function verifyTrustBundle(pem: string): string | undefined {
  const roots = parse(pem, MAX.bundle) ?? []
  return roots.length > 0 && roots.every(({ ca }) => ca) ? toPem(roots) : undefined
}

/** Undefined where a part cannot be read, or there are too many. */
function parse(pem: string, most: number): X509Certificate[] | undefined {
  const parts = splitCertificates(pem)
  if (parts.length > most) return undefined
  try {
    return parts.map((part) => new X509Certificate(part))
  } catch {
    return undefined
  }
}

function toPem(certificates: readonly X509Certificate[]): string {
  return certificates.map(String).join('')
}

/** `DNS:web`, `URI:spiffe://…`; Node quotes those that would be ambiguous, and ours never are. */
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

/** True where each certificate is issued by the next, and the last one by a CA of the bundle. */
function leadsTo(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): boolean {
  return chain.every((certificate, place) => {
    const issuers = place + 1 < chain.length ? chain.slice(place + 1, place + 2) : roots
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
