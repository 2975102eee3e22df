/** Test double: a certificate for servers on loopback, and the CA that made it. Never shipped. */
import { isIP } from 'node:net'
import { createCa, issueLeaf } from '../../webhook/tls/certificates.ts'

export interface ThrowawayCertificate {
  readonly caPem: string
  readonly certPem: string
  readonly keyPem: string
}

/** Good for whatever time a virtual clock may show: 2000 to 2049. */
const LIFE = { nowMs: Date.UTC(2000, 0, 1), lifetimeSeconds: 49 * 365 * 86_400 }

/** Made by the code that makes the webhook's own certificates; IP addresses and host names. */
export async function throwawayCertificate(
  names: readonly string[],
): Promise<ThrowawayCertificate> {
  const ca = await createCa(LIFE)
  const { certPem, keyPem } = await issueLeaf({
    ...LIFE,
    ca,
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
  })
  return { caPem: ca.certPem, certPem, keyPem }
}
