/** The certificates of a PEM bundle, one by one. */
export function splitPem(bundlePem: string): string[] {
  return bundlePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\r?\n?/g) ?? []
}
