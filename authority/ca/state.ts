import { X509Certificate } from 'node:crypto'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { SecretKeys } from '../../shared/server/shared-secret.ts'
import { loadIssuer, type Issuer } from '../../shared/x509/issuer.ts'
import { splitPem } from '../../shared/x509/pem.ts'

/** The state that the replicas share: the Secret's data, decoded. A missing key is an empty string. */
export interface CaState {
  /** PEM of the trusted roots, the newest first. */
  readonly rootsPem: string
  /** PEM of the signing intermediate, then its chain up to a root. */
  readonly chainPem: string
  readonly keyPem: string
  /** The root that signs the next intermediate; empty if the operator provides the intermediate. */
  readonly rootCertPem: string
  readonly rootKeyPem: string
  /** Roots that no longer sign and are trusted until `previousUntil`. */
  readonly previousPem: string
  /** ISO 8601, or empty. */
  readonly previousUntil: string
}

/** Keys of the Secret's data; SECURITY.md says which ones an operator with an own CA fills in. */
export const CA_KEYS: SecretKeys<CaState> = {
  rootsPem: 'ca.crt',
  chainPem: 'ca-signing.crt',
  keyPem: 'ca-signing.key',
  rootCertPem: 'root.crt',
  rootKeyPem: 'root.key',
  previousPem: 'previous.crt',
  previousUntil: 'previous-until',
}

/** The parsed state. Everything that is issued from it chains to one of its roots. */
export interface ReadState {
  readonly issuer: Issuer
  /** Undefined if the operator keeps the root's key. */
  readonly root: Issuer | undefined
  readonly roots: readonly X509Certificate[]
  readonly previous: readonly string[]
  readonly previousUntilMs: number
}

/** Limits on what an operator may provide. */
const MAX = { chain: 4, roots: 20 } as const

/**
 * Parses and checks the state. An invalid Secret is never overwritten: it may be the operator's own.
 *
 * @throws NocredsError `ERR_CA_STATE` that names the key of the Secret; nothing secret is quoted
 */
export function readState(state: CaState): ReadState {
  try {
    const issuer = openPair(state.chainPem, state.keyPem, 'ca-signing')
    const roots = certificatesOf(state.rootsPem, 'ca.crt', MAX.roots)
    requireChain(certificatesOf(state.chainPem, 'ca-signing.crt', MAX.chain), roots)
    const hasRootKey = state.rootKeyPem !== ''
    const root = hasRootKey ? openPair(state.rootCertPem, state.rootKeyPem, 'root') : undefined
    const isListed = root === undefined || roots[0]?.raw.equals(root.certificate.raw)
    if (isListed !== true) throw new Error('root.crt is not the first certificate in ca.crt')
    const previousUntilMs = Date.parse(state.previousUntil)
    return {
      issuer,
      root,
      roots,
      previous: splitPem(state.previousPem),
      previousUntilMs: Number.isNaN(previousUntilMs) ? 0 : previousUntilMs,
    }
  } catch (error) {
    throw new NocredsError(
      'ERR_CA_STATE',
      `the Secret of the CA is invalid and left unchanged: ${messageOf(error)}`,
      { hint: 'fix it, or empty its data to have a new CA created' },
    )
  }
}

function openPair(certPem: string, keyPem: string, name: string): Issuer {
  let issuer: Issuer
  try {
    issuer = loadIssuer(certPem, keyPem)
  } catch {
    throw new Error(`${name}.crt or ${name}.key is not PEM of a certificate and its key`)
  }
  if (!issuer.certificate.checkPrivateKey(issuer.key)) {
    throw new Error(`${name}.key does not belong to ${name}.crt`)
  }
  if (!issuer.certificate.ca) throw new Error(`${name}.crt is not a CA`)
  return issuer
}

function certificatesOf(pem: string, name: string, max: number): X509Certificate[] {
  const texts = splitPem(pem)
  if (texts.length === 0 || texts.length > max) {
    throw new Error(`${name} has ${texts.length} certificates; allowed: 1 to ${max}`)
  }
  try {
    return texts.map((text) => new X509Certificate(text))
  } catch {
    throw new Error(`${name} has an entry that is not a certificate`)
  }
}

function requireChain(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): void {
  chain.forEach((certificate, index) => {
    const above = chain[index + 1]
    const isSigned = (above === undefined ? roots : [above]).some((one) =>
      isSignedBy(certificate, one),
    )
    if (!isSigned) throw new Error('ca-signing.crt does not chain to a root in ca.crt')
  })
}

export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** PEM of every CA that peers accept. */
export function bundleOf(state: CaState): string {
  return [...new Set(splitPem(state.rootsPem + state.previousPem).map(normalized))].join('')
}

function normalized(pem: string): string {
  return `${pem.replace(/\r/g, '').trim()}\n`
}
