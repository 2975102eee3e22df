import { CERTIFICATE_LIMITS } from '../../contract/certificates.ts'
import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'
import { codeOf, messageOf } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'
import type { Logger } from '../../shared/base/log.ts'
import { certificatesIn } from '../../shared/x509/pem.ts'
import type { TlsFolder } from '../publish/tls-folder.ts'
import { deadlineIn, remainingMs, type Moment } from './deadline.ts'
import { versionOf } from './task.ts'

/** The kubelet takes a minute or so to bring a ConfigMap; this adds little to it. */
const LOOK_MS = 30_000
/** Between two questions about the same mounted file, while the authority's answer differs from it. */
const MAX_WAIT_MS = 300_000
/** Of one question. */
const LIMIT_MS = 30_000

export interface TrustBundleDeps {
  readonly clock: Clock
  readonly random: Random
  /** The mounted one, which says that there may be news, and nothing more. */
  readonly file: string
  /** Asks the authority for its trust bundle, over a connection that the published one proves. */
  readonly fetch: (signal: AbortSignal) => Promise<string>
  readonly store: Pick<TlsFolder, 'current' | 'replaceTrustBundle'>
  readonly log: Logger
}

/** The last question about a mounted file. */
interface Asked {
  readonly version: string
  readonly times: number
  /** Not before then; undefined: the file is the same as what is published. */
  readonly next: Moment | undefined
}

/**
 * Carries a new trust bundle to the app between two renewals, which may be half a day apart: when a CA
 * is replaced, peers have certificates of the new one long before.
 *
 * The mounted file is of a ConfigMap in the pod's namespace, so it is never published: where it differs, the
 * authority is asked, and its answer is.
 */
export function followTrustBundle(deps: TrustBundleDeps): Cancel {
  const { clock, log } = deps
  const stopping = new AbortController()
  let asked: Asked | undefined
  let cancel: Cancel = () => undefined
  const lookAgain = (): void => {
    look(deps, asked, stopping.signal)
      .then((latest) => (asked = latest))
      .catch((error: unknown) => {
        log.warn({ code: codeOf(error) ?? 'TrustBundleMalformed' }, 'trust bundle not replaced')
      })
      .finally(() => {
        if (!stopping.signal.aborted) cancel = clock.after(LOOK_MS, lookAgain)
      })
  }
  lookAgain()
  return () => {
    stopping.abort()
    cancel()
  }
}

/** One look at the mounted file. @throws what the file system throws */
async function look(
  deps: TrustBundleDeps,
  asked: Asked | undefined,
  stopping: AbortSignal,
): Promise<Asked | undefined> {
  const { clock, random, file, store } = deps
  const version = await versionOf(file)
  if (version === undefined || store.current() === undefined) return asked
  const before = asked?.version === version ? asked : undefined
  if (before !== undefined && !isDue(before, clock)) return before
  if (await isSame(file, store)) return { version, times: 0, next: undefined }
  await replace(deps, stopping)
  if (await isSame(file, store)) return { version, times: 0, next: undefined }
  // A replica of the authority that has not seen the news yet, or a file that is not the authority's.
  const times = before?.times ?? 0
  const waitMs = Math.min(LOOK_MS * 2 ** times, MAX_WAIT_MS) * (0.5 + random() / 2)
  return { version, times: times + 1, next: deadlineIn(clock, waitMs) }
}

/** Whether the file says nothing else than what is published; one without certificates says nothing. */
async function isSame(file: string, store: Pick<TlsFolder, 'current'>): Promise<boolean> {
  const mounted = certificatesIn((await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)) ?? '')
  return mounted === '' || mounted === certificatesIn(store.current()?.trustBundle ?? '')
}

function isDue({ next }: Asked, clock: Clock): boolean {
  return next !== undefined && remainingMs(clock, next) <= 0
}

/** Publishes what the authority answers; a failure is logged, and tried again like an answer without news. */
async function replace(deps: TrustBundleDeps, stopping: AbortSignal): Promise<void> {
  const { store, log } = deps
  try {
    const trustBundle = await ask(deps, stopping)
    const published = store.current()
    if (published === undefined || stopping.aborted) return
    if (certificatesIn(published.trustBundle) === certificatesIn(trustBundle)) return
    await store.replaceTrustBundle(trustBundle)
    log.info({}, 'trust bundle replaced')
  } catch (error) {
    if (stopping.aborted) return
    const code = codeOf(error) ?? 'TrustBundleMalformed'
    log.warn({ code, reason: messageOf(error) }, 'trust bundle not replaced')
  }
}

/** One question, which ends after half a minute or with the process. @throws SidecarError */
async function ask({ clock, fetch }: TrustBundleDeps, stopping: AbortSignal): Promise<string> {
  const limit = new AbortController()
  const abort = (): void => {
    limit.abort()
  }
  const cancel = clock.after(LIMIT_MS, abort)
  stopping.addEventListener('abort', abort)
  try {
    return await fetch(limit.signal)
  } finally {
    cancel()
    stopping.removeEventListener('abort', abort)
  }
}
