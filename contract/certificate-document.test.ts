import { describe, expect, test } from '@jest/globals'
import { codeOf, messageOf } from '../shared/base/errors.ts'
import { certificateIssued } from '../test/fakes/exchanger-certificates.ts'
import { thrownBy } from '../test/fakes/exchanger-samples.ts'
import {
  CERTIFICATE_DOCUMENT_MAX_BYTES,
  formatCertificateDocument,
  lifetimeMsOf,
  notAfterOf,
  parseCertificateDocument,
} from './certificate-document.ts'

const NOW = Date.UTC(2026, 0, 1)
const DOCUMENT = certificateIssued(NOW, 3_600_000)

describe('a key with its certificate', () => {
  test('is one line that reads back', () => {
    const text = formatCertificateDocument(DOCUMENT)
    expect(text).not.toContain('\n')
    expect(text.length).toBeLessThan(CERTIFICATE_DOCUMENT_MAX_BYTES)
    expect(parseCertificateDocument(text)).toEqual(DOCUMENT)
  })

  test('its lifetime is from a minute after notBefore to notAfter', () => {
    expect(lifetimeMsOf(DOCUMENT)).toBe(3_600_000)
    expect(notAfterOf(DOCUMENT)).toBe(NOW + 3_600_000)
  })

  test('a short one keeps most of its lifetime, so it is not renewed at once', () => {
    const life = { notBefore: '2026-11-25T08:00:00Z', notAfter: '2026-11-25T08:01:00Z' }
    expect(lifetimeMsOf({ ...DOCUMENT, ...life })).toBe(50_000)
  })

  test.each(['key', 'certificate', 'trustBundle', 'notBefore', 'notAfter'] as const)(
    'is refused if %s is missing or bad, and the message does not quote it',
    async (field) => {
      for (const value of [undefined, '', 7, 's3cret', ` ${DOCUMENT.key}s3cret`]) {
        const text = JSON.stringify({ ...DOCUMENT, [field]: value })
        const error = await thrownBy(() => parseCertificateDocument(text))
        expect(codeOf(error)).toBe('ERR_CERTIFICATE_DOCUMENT')
        expect(messageOf(error)).toContain(field)
        expect(messageOf(error)).not.toContain('s3cret')
      }
    },
  )

  test.each(['', 'null', '[', '"s3cret"', '{"key":"s3cret'])(
    '%j is not a document',
    async (text) => {
      const error = await thrownBy(() => parseCertificateDocument(text))
      expect(codeOf(error)).toBe('ERR_CERTIFICATE_DOCUMENT')
      expect(messageOf(error)).not.toContain('s3cret')
    },
  )
})
