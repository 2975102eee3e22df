/** OpenSSL's command, which the authority is held against. Source: openssl-x509(1), openssl-speed(1). */
import { spawnSync } from 'node:child_process'

/** Signs `csr.pem` with `ca.pem` and `ca.key`, all in that folder. No one process of it signs two. */
export function signByOpenssl(folder: string): void {
  const files = ['-in', 'csr.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-out', 'leaf.pem']
  openssl(['x509', '-req', ...files, '-days', '1', '-copy_extensions', 'copy'], folder)
}

/** A process of it that does nothing else. */
export function startOpenssl(folder: string): void {
  openssl(['version'], folder)
}

/** Microseconds for one signature and one verification with P-256, measured by OpenSSL itself for a second each. */
export function usOfSpeed(folder: string): number {
  const said = openssl(['speed', '-mr', '-seconds', '1', 'ecdsap256'], folder)
  // `+F4:number:bits:signatures a second:verifications a second`
  const [, signs, verifies] = /^\+F4:\d+:\d+:([\d.]+):([\d.]+)$/m.exec(said) ?? []
  const us = 1e6 / Number(signs) + 1e6 / Number(verifies)
  if (!(us > 0)) throw new Error(`openssl speed said: ${said}`)
  return us
}

function openssl(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
