import type { IssueConfig } from '../../contract/exchanger-env.ts'
import type {
  AuthorityEndpoint,
  AuthorityResponse,
} from '../../exchanger/certificate/authority-client.ts'
import { trustBundleTask, type Task } from '../../exchanger/certificate/failures.ts'
import { fetchTrustBundle } from '../../exchanger/certificate/trust-bundle.ts'
import { readTrustBundleFile } from '../../exchanger/certificate/trust.ts'
import { followTrustBundle } from '../../exchanger/sidecar/trust-bundle.ts'
import type { Cancel } from '../../shared/base/clock.ts'
import type { SourceDeps } from './source.ts'

export interface TrustDeps extends Pick<SourceDeps, 'clock' | 'random' | 'log'> {
  /** The trust bundle in the driver's own namespace, mounted. */
  readonly file: string
  /** Who asks: the driver itself. */
  readonly requester: IssueConfig
  /** @throws NoResponseError */
  readonly sendTrustBundleRequest: (
    endpoint: AuthorityEndpoint,
    signal: AbortSignal,
  ) => Promise<AuthorityResponse>
}

/**
 * By which CAs this driver verifies the authority: the mounted ones open the first connection, and from then on
 * those that the authority itself gave count.
 */
export class AuthorityTrust {
  readonly #deps: TrustDeps
  #given: string | undefined

  constructor(deps: TrustDeps) {
    this.#deps = deps
  }

  /** PEM. @throws SidecarError if there is none yet */
  async read(task: Task): Promise<string> {
    return this.#given ?? (await readTrustBundleFile(task, this.#deps.file))
  }

  /** What the authority gave, over a verified connection. */
  accept(pem: string): void {
    this.#given = pem
  }

  /** The mounted trust bundle counts again, which the authority alone can write. */
  forget(): void {
    this.#given = undefined
  }

  /**
   * Asks the authority again whenever the mounted file changes.
   *
   * @param onReplaced gets the new trust bundle
   */
  follow(onReplaced: (pem: string) => Promise<void>): Cancel {
    const { clock, random, log, file, requester, sendTrustBundleRequest } = this.#deps
    return followTrustBundle({
      clock,
      random,
      log,
      file,
      fetch: (signal) =>
        fetchTrustBundle(requester, {
          readTrustBundle: () => this.read(trustBundleTask(requester)),
          sendTrustBundleRequest: (endpoint) => sendTrustBundleRequest(endpoint, signal),
        }),
      store: {
        // Also before the first certificate: those of an earlier process may be in the pods.
        current: () => ({ trustBundle: this.#given ?? '' }),
        replaceTrustBundle: async (pem) => {
          this.accept(pem)
          await onReplaced(pem)
        },
      },
    })
  }
}
