import type { Leaf, LeafRequest } from '../shared/x509/certificate.ts'

/** The key, names and lifetime of a certificate, all of which have been checked. */
export type SigningRequest = Omit<LeafRequest, 'issuer'>

export interface Signed extends Leaf {
  /** PEM of every CA that peers accept, at the time of signing. */
  readonly bundlePem: string
}

/** Milliseconds since the epoch; `server` is the authority's own certificate. */
type Expiries = Readonly<Record<'root' | 'intermediate' | 'server', number>>

/**
 * Who signs the certificates of workloads. Nothing else in the authority uses the private key of a CA, and nothing
 * needs to know where that key and its own certificate come from.
 */
export interface Signer {
  /** @throws Refusal `not-ready` if there is no CA yet, or if it has expired */
  readonly issue: (request: SigningRequest) => Promise<Signed>
  /** PEM of every CA that peers accept; undefined until there is a CA. */
  readonly bundlePem: () => string | undefined
  /** Undefined until there is a CA. */
  readonly expiries: () => Expiries | undefined
}
