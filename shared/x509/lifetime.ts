import type { X509Certificate } from 'node:crypto'

/** A certificate is valid from this long before its issue, because clocks of other hosts may be slow. */
export const BACKDATED_MS = 60_000

/** Renewal after this part of the lifetime; the rest is for outages, and for certificates that were signed before. */
const RENEW_AT = 2 / 3

export function isExpired(certificate: X509Certificate, nowMs: number): boolean {
  return nowMs >= certificate.validToDate.getTime()
}

/** True once the certificate must be renewed. */
export function isRenewalDue(certificate: X509Certificate, nowMs: number): boolean {
  const fromMs = issuedAtMs(certificate)
  return nowMs >= fromMs + (certificate.validToDate.getTime() - fromMs) * RENEW_AT
}

export function issuedAtMs(certificate: X509Certificate): number {
  return certificate.validFromDate.getTime() + BACKDATED_MS
}
