import type { ServingCertificate } from '../../shared/x509/pair.ts'

/** Where the serving certificate comes from; it changes while the server runs. */
export interface ServingCertificateSource {
  /** Undefined until there is one. */
  current(): ServingCertificate | undefined
  /** True once the certificate, and the caBundle if the webhook writes it, are in place. */
  readonly ready: boolean
  onChange(listener: (certificate: ServingCertificate) => void): void
  /**
   * Resolves with the first certificate.
   *
   * @throws UsageError if files cannot be used
   */
  start(): Promise<ServingCertificate>
  stop(): void
}
