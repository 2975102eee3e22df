import { readFile } from 'node:fs/promises'
import type { Clock } from '../../shared/base/clock.ts'
import { codeOf, messageOf, UsageError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import type { ServingCertificateSource } from './source.ts'
import { watch } from './watched.ts'

export interface FilesOptions {
  readonly certFile: string
  readonly keyFile: string
  readonly clock: Clock
  readonly log: Logger
}

/**
 * `--tls files`: reads both files periodically, and switches once they hold another matching pair.
 */
export function createFilesSource(options: FilesOptions): ServingCertificateSource {
  const { certFile, keyFile, clock, log } = options
  const watched = watch<ServingCertificate>({
    what: 'serving certificate',
    clock,
    log,
    async read(before) {
      const certPem = await readPem('--tls-cert', certFile)
      const keyPem = await readPem('--tls-key', keyFile)
      const isUnchanged = certPem === before?.certPem && keyPem === before.keyPem
      return isUnchanged ? before : pairOf(certPem, keyPem, options)
    },
    describe: ({ expiresAtMs }) => ({ expiresAt: new Date(expiresAtMs).toISOString() }),
  })
  return {
    ...watched,
    get ready() {
      return watched.current() !== undefined
    },
  }
}

/** The text of a file that a flag names. @throws UsageError that names both */
export async function readPem(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${flag} ${file} cannot be read: ${codeOf(error) ?? 'unknown'}`)
  }
}

/** @throws UsageError that names the pair */
function pairOf(
  certPem: string,
  keyPem: string,
  { certFile, keyFile }: FilesOptions,
): ServingCertificate {
  try {
    return readPair(certPem, keyPem)
  } catch (error) {
    throw new UsageError(`--tls-cert ${certFile} and --tls-key ${keyFile}: ${messageOf(error)}`)
  }
}
