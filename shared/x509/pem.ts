/** The certificates of a PEM bundle, one by one. */
export function splitPem(bundlePem: string): string[] {
  return bundlePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\r?\n?/g) ?? []
}

/** The certificates of a text, each in PEM without surrounding text. */
export function splitCertificates(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
}

/** Only the certificates of a text, in PEM, for comparison; empty text if it has none. */
export function certificatesIn(pem: string): string {
  return splitCertificates(pem)
    .map((one) => `${one}\n`)
    .join('')
}

/** @param label such as `CERTIFICATE REQUEST` */
export function toPem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
