/** Test double: a sidecar that wants a certificate, and documents that no authority gave. Never shipped. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CertificateDocument } from '../../contract/certificate-document.ts'
import { AUTHORITY } from '../../contract/certificates.ts'
import {
  toEnv,
  type CertificateConfig,
  type CredentialsConfig,
} from '../../contract/exchanger-env.ts'
import { writeAtomically } from '../../shared/base/files.ts'

export const CERTIFICATE_CONFIG: CertificateConfig = {
  namespace: 'team-a',
  serviceAccount: 'app',
  pod: 'app-1',
  terminationMessageFile: '/nowhere/termination-log',
  authorityUrl: 'https://127.0.0.1:1',
  authorityFolder: '/nowhere/authority',
  tlsFolder: '/nowhere/tls',
  durationSeconds: 3600,
  dnsNames: ['web', 'web.team-a.svc'],
}

/** A token for the authority, whose signature is not checked. @param name distinguishes it from others */
export function authorityToken(name: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return [part({ alg: 'RS256' }), part({ aud: [AUTHORITY.audience], sub: name }), 'c2ln'].join('.')
}

/** A document with such a lifetime, issued at that moment; its texts only look like PEM. */
export function certificateIssued(
  issuedAtMs: number,
  lifetimeMs: number,
  name = 'ONE',
): CertificateDocument {
  const pem = (label: string): string =>
    `-----BEGIN ${label}-----\n${name}\n-----END ${label}-----\n`
  return {
    key: pem('PRIVATE KEY'),
    certificate: pem('CERTIFICATE'),
    trustBundle: pem('CERTIFICATE'),
    notBefore: new Date(issuedAtMs - 60_000).toISOString(),
    notAfter: new Date(issuedAtMs + lifetimeMs).toISOString(),
  }
}

/** What a sidecar with a certificate finds in its pod. */
export interface CertifiedPod {
  readonly config: CertificateConfig
  readonly env: Record<string, string>
  putToken(jwt: string): Promise<void>
  putTrustBundle(pem: string): Promise<void>
  /** A file as an app reads it. */
  file(name: string): Promise<string>
  terminationMessage(): Promise<string>
  remove(): Promise<void>
}

/** @param credentials those of the same sidecar, whose termination message it then shares */
export async function makeCertifiedPod(
  settings: Partial<CertificateConfig>,
  credentials?: CredentialsConfig,
): Promise<CertifiedPod> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-pod-'))
  const config: CertificateConfig = {
    ...CERTIFICATE_CONFIG,
    authorityFolder: join(folder, 'authority'),
    tlsFolder: join(folder, 'tls'),
    terminationMessageFile: credentials?.terminationMessageFile ?? join(folder, 'termination-log'),
    ...settings,
  }
  await mkdir(config.authorityFolder)
  await writeFile(config.terminationMessageFile, '')
  const env = toEnv(credentials, config).map(({ name, value }) => [name, value ?? config.pod])
  return {
    config,
    env: {
      ...(Object.fromEntries(env) as Record<string, string>),
      PATH: dirname(process.execPath),
    },
    putToken: (jwt) => writeAtomically(join(config.authorityFolder, 'token'), jwt),
    putTrustBundle: (pem) => writeAtomically(join(config.authorityFolder, 'ca.crt'), pem),
    file: (name) => readFile(join(config.tlsFolder, name), 'utf8'),
    terminationMessage: () => readFile(config.terminationMessageFile, 'utf8'),
    remove: () => rm(folder, { recursive: true }),
  }
}
