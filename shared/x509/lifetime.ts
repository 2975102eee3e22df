import type { X509Certificate } from 'node:crypto'

/** Clocks of those who look at a certificate may be a little behind, so it begins this long before its issue. */
export const BACKDATED_MS = 60_000

/** Renewal at this part of a life leaves the rest for faults, and for what is signed meanwhile. */
const RENEW_AT = 2 / 3

export function isExpired(certificate: X509Certificate, nowMs: number): boolean {
  return nowMs >= certificate.validToDate.getTime()
}

/** True once it is time for the next one. */
export function isRenewalDue(certificate: X509Certificate, nowMs: number): boolean {
  const fromMs = issuedAtMs(certificate)
  return nowMs >= fromMs + (certificate.validToDate.getTime() - fromMs) * RENEW_AT
}

export function issuedAtMs(certificate: X509Certificate): number {
  return certificate.validFromDate.getTime() + BACKDATED_MS
}
