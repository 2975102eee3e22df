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

/** How log and messages speak of a kind; operators search for these, so they stay as they are. */
interface Phrases {
  readonly published: string
  readonly failed: string
  /** Nothing to begin with. */
  readonly none: string
  readonly withdrawn: string
  readonly unremovable: string
  readonly ended: string
  readonly unwritten: string
}

/** A kind of thing that a refresher keeps fresh. */
export interface Kind<Thing> {
  readonly phrases: Phrases
  /** Milliseconds since the epoch; from then on it is not served. */
  endOf(thing: Thing): number
  /** The end as the log has it. */
  expirationText(thing: Thing): string
  /** How long after its publishing it is to be replaced. `goodForMs`: from now to its end, above 0. */
  refreshDelayMs(thing: Thing, goodForMs: number, random: Random): number
  /** The same for what a restarted process finds. */
  resumeDelayMs(thing: Thing, goodForMs: number, random: Random): number
}

export const CREDENTIALS: Kind<CredentialDocument> = {
  phrases: {
    published: 'credentials published',
    failed: 'exchange failed',
    none: 'no first credentials can be had; the sidecar ends',
    withdrawn: 'credentials have ended and are withdrawn',
    unremovable: 'ended credentials cannot be removed',
    ended: 'the credentials have ended',
    unwritten: 'the credentials cannot be written',
  },
  endOf: expirationOf,
  expirationText: ({ Expiration }) => Expiration,
  refreshDelayMs: (_document, goodForMs, random) => refreshDelayMs(goodForMs, random),
  resumeDelayMs: (_document, goodForMs, random) => resumeDelayMs(goodForMs, random),
}

export const CERTIFICATE: Kind<CertificateDocument> = {
  phrases: {
    published: 'certificate published',
    failed: 'certificate request failed',
    none: 'no first certificate can be had; the sidecar ends',
    withdrawn: 'certificate has ended and is withdrawn',
    unremovable: 'ended certificate cannot be removed',
    ended: 'the certificate has ended',
    unwritten: 'the certificate cannot be written',
  },
  endOf: notAfterOf,
  expirationText: ({ notAfter }) => notAfter,
  refreshDelayMs: (document, goodForMs, random) =>
    certificateDelayMs(lifetimeMsOf(document), goodForMs, random),
  resumeDelayMs: (document, goodForMs, random) =>
    resumedCertificateDelayMs(lifetimeMsOf(document), goodForMs, random),
}
