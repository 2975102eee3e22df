import { objectId } from './der.ts'

/** Source: RFC 5280, RFC 5758, RFC 8017, RFC 8410, RFC 2985. */
export const OID = {
  commonName: objectId('2.5.4.3'),
  organization: objectId('2.5.4.10'),
  extensionRequest: objectId('1.2.840.113549.1.9.14'),
  subjectKeyIdentifier: objectId('2.5.29.14'),
  keyUsage: objectId('2.5.29.15'),
  subjectAltName: objectId('2.5.29.17'),
  basicConstraints: objectId('2.5.29.19'),
  authorityKeyIdentifier: objectId('2.5.29.35'),
  extKeyUsage: objectId('2.5.29.37'),
  serverAuth: objectId('1.3.6.1.5.5.7.3.1'),
  clientAuth: objectId('1.3.6.1.5.5.7.3.2'),
  ecdsaSha256: objectId('1.2.840.10045.4.3.2'),
  ecdsaSha384: objectId('1.2.840.10045.4.3.3'),
  ecdsaSha512: objectId('1.2.840.10045.4.3.4'),
  rsaSha256: objectId('1.2.840.113549.1.1.11'),
  rsaSha384: objectId('1.2.840.113549.1.1.12'),
  rsaSha512: objectId('1.2.840.113549.1.1.13'),
  ed25519: objectId('1.3.101.112'),
} as const
