import { oid } from './der.ts'

/** Source: RFC 5280, RFC 5758, RFC 8017, RFC 8410, RFC 2985. */
export const OID = {
  commonName: oid('2.5.4.3'),
  organization: oid('2.5.4.10'),
  extensionRequest: oid('1.2.840.113549.1.9.14'),
  subjectKeyIdentifier: oid('2.5.29.14'),
  keyUsage: oid('2.5.29.15'),
  subjectAltName: oid('2.5.29.17'),
  basicConstraints: oid('2.5.29.19'),
  authorityKeyIdentifier: oid('2.5.29.35'),
  extKeyUsage: oid('2.5.29.37'),
  serverAuth: oid('1.3.6.1.5.5.7.3.1'),
  clientAuth: oid('1.3.6.1.5.5.7.3.2'),
  ecdsaSha256: oid('1.2.840.10045.4.3.2'),
  ecdsaSha384: oid('1.2.840.10045.4.3.3'),
  ecdsaSha512: oid('1.2.840.10045.4.3.4'),
  rsaSha256: oid('1.2.840.113549.1.1.11'),
  rsaSha384: oid('1.2.840.113549.1.1.12'),
  rsaSha512: oid('1.2.840.113549.1.1.13'),
  ed25519: oid('1.3.101.112'),
} as const
