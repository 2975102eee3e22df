import { CERTIFICATE_LIMITS } from '../../contract/certificates.ts'
import type { Cancel, Clock } from '../../platform/clock.ts'
import { codeOf } from '../../platform/errors.ts'
import { readIfPresent } from '../../platform/files.ts'
import type { Logger } from '../../platform/log.ts'
import type { TlsFolder } from '../publish/tls-folder.ts'
import { versionOf } from './part.ts'

/** The kubelet takes a minute or so to bring a ConfigMap; this adds little to it. */
const LOOK_MS = 30_000

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

export interface TrustBundleDeps {
  readonly clock: Clock
  /** The mounted one, which the authority keeps in a ConfigMap. */
  readonly file: string
  readonly store: Pick<TlsFolder, 'current' | 'replaceTrustBundle'>
  readonly log: Logger
}

/**
 * Carries a new trust bundle to the app between two renewals, which may be half a day apart: when a CA
 * is replaced, peers have certificates of the new one long before.
 */
export function followTrustBundle({ clock, file, store, log }: TrustBundleDeps): Cancel {
  let seen: string | undefined
  let isStopped = false
  let cancel: Cancel = () => undefined
  const look = async (): Promise<void> => {
    const version = await versionOf(file)
    if (version === undefined || version === seen) return
    const mounted = certificatesIn(
      (await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)) ?? '',
    )
    const published = store.current()
    if (mounted !== '' && published !== undefined && !isStopped) {
      if (certificatesIn(published.trustBundle) !== mounted) {
        await store.replaceTrustBundle(mounted)
        log.info({}, 'trust bundle replaced')
      }
    }
    seen = version
  }
  const lookAgain = (): void => {
    look()
      .catch((error: unknown) => {
        log.warn({ code: codeOf(error) ?? 'TrustBundleMalformed' }, 'trust bundle not replaced')
      })
      .finally(() => {
        if (!isStopped) cancel = clock.after(LOOK_MS, lookAgain)
      })
  }
  lookAgain()
  return () => {
    isStopped = true
    cancel()
  }
}

/** Its certificates alone, in PEM, so that only they are compared. */
function certificatesIn(pem: string): string {
  return (pem.match(CERTIFICATE) ?? []).map((one) => `${one}\n`).join('')
}
