/** Test double: a refresher on a virtual clock, with an STS or authority that a test scripts. Never shipped. */
import type { CredentialDocument } from '../../contract/credentials.ts'
import { SidecarError, exchangeOf, type FailureClass } from '../../exchanger/failure.ts'
import type { Store } from '../../exchanger/publish/store.ts'
import { Refresher } from '../../exchanger/sidecar/refresher.ts'
import { CREDENTIALS, type Renewable } from '../../exchanger/sidecar/renewable.ts'
import type { Clock, Random } from '../../shared/base/clock.ts'
import { collectingLog, CONFIG, type LogLine } from './exchanger-samples.ts'

/** What one exchange does. */
export type Behaviour<Thing = CredentialDocument> = (signal: AbortSignal) => Promise<Thing>

export interface Harness<Thing = CredentialDocument> {
  readonly refresher: Refresher<Thing>
  readonly lines: LogLine[]
  /** Times of the exchanges, in milliseconds since the harness was set. */
  readonly exchangesAtMs: number[]
  /** What was published, with how much was left then by the published Expiration of the one before. */
  readonly published: {
    readonly document: Thing
    readonly lastLeftMs: number | undefined
  }[]
  readonly gaveUp: SidecarError[]
  current(): Thing | undefined
  /** How often the token file was looked at. */
  looks: number
  /** How many exchanges are under way. */
  underWay: number
  mostUnderWay: number
  token: string | undefined
  /** What writing does, such as throwing ENOSPC. */
  onWrite: () => void
}

export interface HarnessOptions<Thing = CredentialDocument> {
  readonly clock: Clock
  readonly random: Random
  /** The behaviour of the n-th exchange, from 0. */
  readonly behaviour: (index: number) => Behaviour<Thing>
  /** What an earlier process left. */
  readonly found?: Thing
  /** Version of the token at start; `token-1` if not given. */
  readonly token?: string | undefined
}

export function createHarness(options: HarnessOptions): Harness {
  return createHarnessFor(CREDENTIALS, options)
}

export function createHarnessFor<Thing>(
  kind: Renewable<Thing>,
  options: HarnessOptions<Thing>,
): Harness<Thing> {
  const { clock, random, behaviour, found } = options
  const startMs = clock.monotonic()
  const { log, lines } = collectingLog()
  let current = found
  const store: Store<Thing> = {
    current: () => current,
    publish(document) {
      harness.onWrite()
      const lastLeftMs =
        current === undefined ? undefined : kind.expiresAtMsOf(current) - clock.now()
      harness.published.push({ document, lastLeftMs })
      current = document
      return Promise.resolve()
    },
    withdraw(document) {
      if (current === document) current = undefined
      return Promise.resolve()
    },
  }
  const gaveUp: SidecarError[] = []
  const refresher = new Refresher({
    renewable: kind,
    wanted: exchangeOf(CONFIG),
    clock,
    random,
    store,
    log,
    async exchange(signal) {
      const index = harness.exchangesAtMs.push(clock.monotonic() - startMs) - 1
      harness.underWay += 1
      harness.mostUnderWay = Math.max(harness.mostUnderWay, harness.underWay)
      // One that is given up has its process killed, so it is under way no more.
      signal.addEventListener('abort', () => (harness.underWay -= 1), { once: true })
      try {
        return await behaviour(index)(signal)
      } finally {
        if (!signal.aborted) harness.underWay -= 1
      }
    },
    tokenVersion() {
      harness.looks += 1
      return Promise.resolve(harness.token)
    },
    onGiveUp: (error) => gaveUp.push(error),
  })
  const harness: Harness<Thing> = {
    refresher,
    lines,
    exchangesAtMs: [],
    published: [],
    gaveUp,
    current: () => current,
    looks: 0,
    underWay: 0,
    mostUnderWay: 0,
    token: 'token' in options ? options.token : 'token-1',
    onWrite: () => undefined,
  }
  return harness
}

export function fails(failureClass: FailureClass, code = 'SomeCode'): Behaviour<never> {
  return () => Promise.reject(new SidecarError(failureClass, code, `it failed: ${code}`, 'Look.'))
}
