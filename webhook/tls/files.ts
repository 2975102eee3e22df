import { readFile } from 'node:fs/promises'
import type { Cancel, Clock } from '../../platform/clock.ts'
import { codeOf, messageOf, UsageError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import { readPair, type ServingCertificate } from '../../service/pair.ts'
import type { CertificateSource } from './source.ts'

/** cert-manager renews days ahead, and the kubelet needs up to a minute to bring a Secret's new data. */
const LOOK_MS = 5000

export interface FilesOptions {
  readonly certFile: string
  readonly keyFile: string
  readonly clock: Clock
  readonly log: Logger
}

/**
 * `--tls files`: reads both files again and again, and swaps once they hold another pair that belongs
 * together. Anything else, such as a pair of which only one half is written yet, leaves the old one.
 */
export function createFilesSource({
  certFile,
  keyFile,
  clock,
  log,
}: FilesOptions): CertificateSource {
  const listeners: ((certificate: ServingCertificate) => void)[] = []
  let current: ServingCertificate | undefined
  let cancel: Cancel = () => undefined
  let warnedOf = ''
  let stopped = false

  const look = async (): Promise<void> => {
    try {
      const texts = await readTexts(certFile, keyFile)
      const isUnchanged = texts.certPem === current?.certPem && texts.keyPem === current.keyPem
      const found = isUnchanged ? undefined : pairOf(texts, certFile, keyFile)
      warnedOf = ''
      if (found === undefined) return
      current = found
      for (const listener of listeners) listener(found)
      log.info(
        { expiresAt: new Date(found.expiresAtMs).toISOString() },
        'serving certificate swapped',
      )
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== warnedOf) log.warn({ reason }, 'the old serving certificate is kept')
      warnedOf = reason
    }
  }
  const lookAgain = (): void => {
    if (stopped) return
    cancel = clock.after(LOOK_MS, () => void look().then(lookAgain))
  }

  return {
    current: () => current,
    get ready() {
      return current !== undefined
    },
    onChange(listener) {
      listeners.push(listener)
    },
    async start() {
      const first = pairOf(await readTexts(certFile, keyFile), certFile, keyFile)
      current = first
      lookAgain()
      return first
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

type Texts = Pick<ServingCertificate, 'certPem' | 'keyPem'>

/** @throws UsageError that names the file */
async function readTexts(certFile: string, keyFile: string): Promise<Texts> {
  const read = (flag: string, file: string): Promise<string> =>
    readFile(file, 'utf8').catch((error: unknown) => {
      throw new UsageError(`${flag} ${file} cannot be read: ${codeOf(error) ?? 'unknown'}`)
    })
  const [certPem, keyPem] = await Promise.all([
    read('--tls-cert', certFile),
    read('--tls-key', keyFile),
  ])
  return { certPem, keyPem }
}

/** @throws UsageError that names the pair */
function pairOf({ certPem, keyPem }: Texts, certFile: string, keyFile: string): ServingCertificate {
  try {
    return readPair(certPem, keyPem)
  } catch (error) {
    throw new UsageError(`--tls-cert ${certFile} and --tls-key ${keyFile}: ${messageOf(error)}`)
  }
}
