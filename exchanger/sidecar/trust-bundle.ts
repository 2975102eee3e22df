import { CERTIFICATE_LIMITS } from '../../contract/certificates.ts'
import type { Cancel, Clock, Random } from '../../shared/base/clock.ts'
import { codeOf, messageOf } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'
import type { Logger } from '../../shared/base/log.ts'
import { certificatesIn } from '../../shared/x509/pem.ts'
import { deadlineIn, remainingMs, type Deadline } from './deadline.ts'
import { versionOf } from './task.ts'

/** The kubelet takes about a minute to update a ConfigMap; this adds little to it. */
const POLL_MS = 30_000
/** Longest delay between two queries for the same mounted file, while the authority's response differs from it. */
const MAX_WAIT_MS = 300_000
/** Time limit of one query. */
const QUERY_MS = 30_000

/** Where the trust bundle is published. */
interface TrustBundleStore {
  /** Undefined if nothing is published. */
  current(): { readonly trustBundle: string } | undefined
  replaceTrustBundle(pem: string): Promise<void>
}

export interface TrustBundleDeps {
  readonly clock: Clock
  readonly random: Random
  /** The mounted trust bundle, which only indicates that there may be a change. */
  readonly file: string
  /** Fetches the trust bundle from the authority, over a connection that is verified by the published one. */
  readonly fetch: (signal: AbortSignal) => Promise<string>
  readonly store: TrustBundleStore
  readonly log: Logger
}

/** The last query for a mounted file. */
interface Query {
  readonly version: string
  readonly times: number
  /** Earliest time of the next query; undefined if the file equals what is published. */
  readonly next: Deadline | undefined
}

/**
 * Publishes a new trust bundle between two renewals, which may be half a day apart: after a CA is replaced, peers have
 * certificates of the new CA long before the next renewal.
 *
 * The mounted file is from a ConfigMap in the pod's namespace, so it is never published: if it differs, the authority
 * is queried, and its response is published.
 */
export function followTrustBundle(deps: TrustBundleDeps): Cancel {
  const { clock, log } = deps
  const stopping = new AbortController()
  let lastQuery: Query | undefined
  let cancel: Cancel = () => undefined
  const pollAgain = (): void => {
    poll(deps, lastQuery, stopping.signal)
      .then((latest) => (lastQuery = latest))
      .catch((error: unknown) => {
        log.warn({ code: codeOf(error) ?? 'TrustBundleMalformed' }, 'trust bundle not replaced')
      })
      .finally(() => {
        if (!stopping.signal.aborted) cancel = clock.after(POLL_MS, pollAgain)
      })
  }
  pollAgain()
  return () => {
    stopping.abort()
    cancel()
  }
}

/** Checks the mounted file once. @throws errors of the file system */
async function poll(
  deps: TrustBundleDeps,
  lastQuery: Query | undefined,
  stopping: AbortSignal,
): Promise<Query | undefined> {
  const { clock, random, file, store } = deps
  const version = await versionOf(file)
  if (version === undefined || store.current() === undefined) return lastQuery
  const before = lastQuery?.version === version ? lastQuery : undefined
  if (before !== undefined && !isDue(before, clock)) return before
  if (await isSame(file, store)) return { version, times: 0, next: undefined }
  await replace(deps, stopping)
  if (await isSame(file, store)) return { version, times: 0, next: undefined }
  // A replica of the authority that does not have the change yet, or a file that is not from the authority.
  const times = before?.times ?? 0
  const waitMs = Math.min(POLL_MS * 2 ** times, MAX_WAIT_MS) * (0.5 + random() / 2)
  return { version, times: times + 1, next: deadlineIn(clock, waitMs) }
}

/** True if the file has the same certificates as what is published, or none. */
async function isSame(file: string, store: Pick<TrustBundleStore, 'current'>): Promise<boolean> {
  const mounted = certificatesIn((await readIfPresent(file, CERTIFICATE_LIMITS.answerBytes)) ?? '')
  return mounted === '' || mounted === certificatesIn(store.current()?.trustBundle ?? '')
}

function isDue({ next }: Query, clock: Clock): boolean {
  return next !== undefined && remainingMs(clock, next) <= 0
}

/** Publishes the authority's response; a failure is logged, and retried like a response without a change. */
async function replace(deps: TrustBundleDeps, stopping: AbortSignal): Promise<void> {
  const { store, log } = deps
  try {
    const trustBundle = await query(deps, stopping)
    const published = store.current()
    if (published === undefined || stopping.aborted) return
    if (certificatesIn(published.trustBundle) === certificatesIn(trustBundle)) return
    await store.replaceTrustBundle(trustBundle)
    log.info({}, 'trust bundle replaced')
  } catch (error) {
    if (stopping.aborted) return
    const code = codeOf(error) ?? 'TrustBundleMalformed'
    log.warn({ code, error: messageOf(error) }, 'trust bundle not replaced')
  }
}

/** Sends one query, which is aborted after half a minute or when the process stops. @throws SidecarError */
async function query({ clock, fetch }: TrustBundleDeps, stopping: AbortSignal): Promise<string> {
  const limit = new AbortController()
  const abort = (): void => {
    limit.abort()
  }
  const cancel = clock.after(QUERY_MS, abort)
  stopping.addEventListener('abort', abort)
  try {
    return await fetch(limit.signal)
  } finally {
    cancel()
    stopping.removeEventListener('abort', abort)
  }
}
