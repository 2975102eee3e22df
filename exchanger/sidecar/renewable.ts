import {
  lifetimeMsOf,
  notAfterOf,
  type CertificateDocument,
} from '../../contract/certificate-document.ts'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import type { Random } from '../../shared/base/clock.ts'
import {
  certificateDelayMs,
  refreshDelayMs,
  resumeDelayMs,
  resumedCertificateDelayMs,
} from './schedule.ts'

/** Texts of log and messages; operators search for them, so they must stay stable. */
interface Phrases {
  readonly published: string
  readonly failed: string
  /** The initial one could not be obtained. */
  readonly none: string
  readonly withdrawn: string
  readonly unremovable: string
  readonly expired: string
  readonly unwritten: string
}

/** A kind of item that a refresher keeps fresh: credentials or a certificate. */
export interface Renewable<Item> {
  readonly phrases: Phrases
  /** Milliseconds since the epoch; from then on the item is not served. */
  expiresAtMsOf(item: Item): number
  /** The expiry as it is logged. */
  expirationText(item: Item): string
  /** Time from publishing an item to its replacement. `validForMs`: from now to its expiry, above 0. */
  refreshDelayMs(item: Item, validForMs: number, random: Random): number
  /** The same for an item that a restarted process finds. */
  resumeDelayMs(item: Item, validForMs: number, random: Random): number
}

export const CREDENTIALS: Renewable<CredentialDocument> = {
  phrases: {
    published: 'credentials published',
    failed: 'exchange failed',
    none: 'no initial credentials; giving up',
    withdrawn: 'credentials expired and removed',
    unremovable: 'expired credentials not removed',
    expired: 'the credentials have expired',
    unwritten: 'the credentials cannot be written',
  },
  expiresAtMsOf: expirationOf,
  expirationText: ({ Expiration }) => Expiration,
  refreshDelayMs: (_document, validForMs, random) => refreshDelayMs(validForMs, random),
  resumeDelayMs: (_document, validForMs, random) => resumeDelayMs(validForMs, random),
}

export const CERTIFICATE: Renewable<CertificateDocument> = {
  phrases: {
    published: 'certificate published',
    failed: 'certificate request failed',
    none: 'no initial certificate; giving up',
    withdrawn: 'certificate expired and removed',
    unremovable: 'expired certificate not removed',
    expired: 'the certificate has expired',
    unwritten: 'the certificate cannot be written',
  },
  expiresAtMsOf: notAfterOf,
  expirationText: ({ notAfter }) => notAfter,
  refreshDelayMs: (document, validForMs, random) =>
    certificateDelayMs(lifetimeMsOf(document), validForMs, random),
  resumeDelayMs: (document, validForMs, random) =>
    resumedCertificateDelayMs(lifetimeMsOf(document), validForMs, random),
}
