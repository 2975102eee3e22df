import { X509Certificate } from 'node:crypto'
import { isRenewalDue, isExpired, issuedAtMs } from '../../shared/x509/lifetime.ts'
import { readPair } from '../../shared/x509/pair.ts'
import { splitPem } from '../../shared/x509/pem.ts'

/** What the replicas share: the Secret's data, decoded. */
export interface TlsState {
  /** PEM of the CA that signs new leaves. */
  readonly caCertPem: string
  readonly caKeyPem: string
  /** PEM of every CA that callers must trust: the signing one first, then older ones. */
  readonly bundlePem: string
  readonly certPem: string
  readonly keyPem: string
}

export interface RotationPolicy {
  readonly leafLifetimeSeconds: number
  readonly caLifetimeSeconds: number
  /** Time in which every replica has read the Secret and published its bundle. */
  readonly overlapMs: number
  /** The names of the leaf; if they change, a new one is issued. */
  readonly dnsNames: readonly string[]
}

/**
 * One step, in the order in which a CA is replaced without a gap: the new CA joins the bundle first;
 * an overlap later a leaf is issued from it; the old CA leaves the bundle once its last leaf has
 * expired, so that a replica that cannot reach the apiserver stays trusted until then.
 */
export type RotationStep = 'up-to-date' | 'reset' | 'add-ca' | 'renew-leaf' | 'drop-old-cas'

/**
 * The step that is due now. Pure: the same for each replica that reads the same Secret.
 *
 * An unusable state (garbage, a key of another certificate, expired certificates) is reset: no caller
 * could use it anyway.
 */
export function nextStep(
  state: TlsState | undefined,
  nowMs: number,
  policy: RotationPolicy,
): RotationStep {
  const read = state === undefined ? undefined : readState(state)
  if (read === undefined || isExpired(read.ca, nowMs)) return 'reset'
  if (isRenewalDue(read.ca, nowMs)) return 'add-ca'
  return leafStep(read, nowMs, policy) ?? bundleStep(read, nowMs, policy)
}

function leafStep(
  { ca, leaf }: ReadState,
  nowMs: number,
  policy: RotationPolicy,
): RotationStep | undefined {
  if (isExpired(leaf, nowMs) || !isFor(leaf, policy.dnsNames)) return 'renew-leaf'
  if (leaf.checkIssued(ca))
    return isRenewalDue(leaf, nowMs) || isCostly(leaf) ? 'renew-leaf' : undefined
  return hasPropagated(ca, nowMs, policy) ? 'renew-leaf' : 'up-to-date'
}

function bundleStep(
  { ca, leaf, bundle }: ReadState,
  nowMs: number,
  policy: RotationPolicy,
): RotationStep {
  if (bundle.length === 1 || !hasPropagated(leaf, nowMs, policy)) return 'up-to-date'
  // Since this CA was created, no leaf was issued from an older one.
  const lastOldLeafExpiresAtMs = issuedAtMs(ca) + policy.leafLifetimeSeconds * 1000
  return nowMs >= lastOldLeafExpiresAtMs ? 'drop-old-cas' : 'up-to-date'
}

/** True once every replica has had time to read the certificate from the Secret. */
function hasPropagated(
  certificate: X509Certificate,
  nowMs: number,
  policy: RotationPolicy,
): boolean {
  return nowMs >= issuedAtMs(certificate) + policy.overlapMs
}

interface ReadState {
  readonly ca: X509Certificate
  readonly leaf: X509Certificate
  readonly bundle: readonly X509Certificate[]
}

function readState(state: TlsState): ReadState | undefined {
  try {
    readPair(state.caCertPem, state.caKeyPem)
    readPair(state.certPem, state.keyPem)
    const bundle = splitPem(state.bundlePem).map((pem) => new X509Certificate(pem))
    const ca = new X509Certificate(state.caCertPem)
    const leaf = new X509Certificate(state.certPem)
    const isTrusted = bundle.some((one) => leaf.checkIssued(one) && leaf.verify(one.publicKey))
    return isTrusted && bundle[0]?.raw.equals(ca.raw) === true ? { ca, leaf, bundle } : undefined
  } catch {
    return undefined
  }
}

/** A leaf of an older version: RSA makes a handshake costly for the server and cheap for the client. */
function isCostly(leaf: X509Certificate): boolean {
  return leaf.publicKey.asymmetricKeyType === 'rsa'
}

function isFor(leaf: X509Certificate, dnsNames: readonly string[]): boolean {
  return dnsNames.every((name) => leaf.checkHost(name) !== undefined)
}
