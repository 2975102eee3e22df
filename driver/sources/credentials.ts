import { slotsOf } from '../../contract/container-roles.ts'
import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import type { DriverCredentials } from '../../contract/driver-volume.ts'
import type { DefaultTagsConfig, ExchangeConfig } from '../../contract/exchanger-env.ts'
import { renderSessionName } from '../../contract/session-name.ts'
import { exchange, type ExchangeDeps } from '../../exchanger/credentials/exchange.ts'
import { claimsOf, type WebIdentityToken } from '../../exchanger/credentials/token.ts'
import { exchangeOf, SidecarError } from '../../exchanger/failure.ts'
import { CREDENTIALS } from '../../exchanger/sidecar/renewable.ts'
import { withLimit } from '../../shared/base/clock.ts'
import { limitConcurrency, limitConcurrencyPerKey } from '../../shared/base/concurrency.ts'
import {
  publishCredentials,
  readCredentials,
  withdrawCredentials,
} from '../files/credentials-files.ts'
import { waitUntilReady } from '../files/volume.ts'
import type { Pod, PodToken } from '../pod-tokens.ts'
import { SharedRefresh } from '../shared-refresh.ts'
import { FirstSessions } from './first-sessions.ts'
import { logOf, type Source, type SourceDeps } from './source.ts'
import { openVolumeStore } from './volume-store.ts'

/** How STS is reached: settings of the driver, and none of a pod's. */
type StsSettings = Pick<ExchangeConfig, 'stsEndpoint' | 'stsProxy' | 'stsNoProxy' | 'stsCa'>

/** Sends one request of an exchange, as {@link ExchangeDeps} has it, which ends when the signal says so. */
export type SendToSts = (
  ...request: [...Parameters<ExchangeDeps['send']>, AbortSignal]
) => ReturnType<ExchangeDeps['send']>

export interface CredentialSourceDeps extends SourceDeps {
  readonly sts: StsSettings
  /** For the tags of nocreds. */
  readonly cluster: Pick<DefaultTagsConfig, 'clusterArn' | 'clusterName'>
  readonly sendToSts: SendToSts
}

/** So many exchanges at once; a node that starts a hundred pods does not need a hundred connections. */
const MAX_CONCURRENT_EXCHANGES = 16
/** Of one namespace: pods whose STS hangs, such as by a region of their choice, delay their own namespace alone. */
const MAX_CONCURRENT_PER_NAMESPACE = 4
/** The response too; a refresher aborts an exchange after 30 s. */
const EXCHANGE_MS = 25_000
/** No session is longer; what claims to be was not made by STS. Source: STS API reference, DurationSeconds. */
const MAX_SESSION_MS = 12 * 3_600_000

/**
 * AWS credentials, from STS. Pods of one ServiceAccount share them if they want the same; a role is the same whether it is
 * the only one of a pod or not.
 */
export function credentialSource(
  deps: CredentialSourceDeps,
): Source<DriverCredentials, CredentialDocument> {
  const { clock, log, volumes } = deps
  const limit = limitConcurrency(MAX_CONCURRENT_EXCHANGES)
  const limitOf = limitConcurrencyPerKey(MAX_CONCURRENT_PER_NAMESPACE)
  const firstSessions = new FirstSessions(clock)
  return {
    partsOf: (wanted) =>
      slotsOf(wanted).map(({ slot, wanted }) => ({ volume: slot.volume, wanted })),
    audienceOf: ({ audience }) => audience,
    keyOf(pod, wanted, { serviceAccountUid }) {
      const { sessionName, ...parameters } = wanted
      const { namespace, serviceAccount } = pod
      return JSON.stringify([
        namespace,
        serviceAccount,
        serviceAccountUid,
        sessionNameOf(pod, sessionName),
        hasTagsOfPod(wanted) ? pod.uid : '',
        parameters,
      ])
    },
    make(pod, wanted, onUnwritten) {
      const { namespace } = pod
      const config = configFor(pod, wanted, deps)
      return new SharedRefresh({
        ...deps,
        renewable: CREDENTIALS,
        wanted: exchangeOf(config),
        log: logOf(log, pod, { role: wanted.roleArn }),
        exchange: (token, signal) =>
          limitOf(namespace, () =>
            limit(async () => {
              signal.throwIfAborted() // it waited too long for its turn
              return exchangeOnce(config, token, { ...deps, firstSessions, signal })
            }),
          ),
        onUnwritten,
      })
    },
    async openStore(volume, signal) {
      await waitUntilReady(volume, volumes, { clock, signal })
      const files = {
        read: () => readCredentials(volume, volumes),
        write: (document: CredentialDocument) => publishCredentials(volume, document, volumes),
        remove: () => withdrawCredentials(volume, volumes),
      }
      return openVolumeStore(files, (found) => {
        const validForMs = expirationOf(found) - clock.now()
        return validForMs > 0 && validForMs <= MAX_SESSION_MS
      })
    },
  }
}

function sessionNameOf({ namespace, serviceAccount, name }: Pod, template: string): string {
  return renderSessionName(template, { namespace, serviceaccount: serviceAccount, pod: name })
}

/** Whether a tag tells one pod from another, so that no two can share a session. */
function hasTagsOfPod({ sessionTags = [], defaultSessionTags }: DriverCredentials): boolean {
  return defaultSessionTags === 'true' || sessionTags.some(({ value }) => value.includes('{pod}'))
}

function configFor(
  { namespace, serviceAccount, name, uid }: Pod,
  wanted: DriverCredentials,
  { sts, cluster }: Pick<CredentialSourceDeps, 'sts' | 'cluster'>,
): ExchangeConfig {
  const defaultTags = wanted.defaultSessionTags === 'true' ? { podUid: uid, ...cluster } : undefined
  return { namespace, serviceAccount, pod: name, defaultTags, ...wanted, ...sts }
}

interface ExchangeOnceDeps extends CredentialSourceDeps {
  readonly firstSessions: FirstSessions
  readonly signal: AbortSignal
}

async function exchangeOnce(
  config: ExchangeConfig,
  { jwt, serviceAccountUid }: PodToken,
  deps: ExchangeOnceDeps,
): Promise<CredentialDocument> {
  const { clock, metrics, sendToSts, firstSessions } = deps
  const readToken = (): Promise<WebIdentityToken> => {
    const claims = claimsOf(jwt)
    if (claims !== undefined) return Promise.resolve({ jwt, claims })
    const text = `no ${exchangeOf(config)}: the token of the kubelet is not a JWT`
    return Promise.reject(new SidecarError('token', 'TokenMalformed', text))
  }
  return metrics.timed('credentials', () =>
    withLimit(clock, EXCHANGE_MS, (limit) => {
      const signal = AbortSignal.any([deps.signal, limit])
      return exchange(config, {
        readToken,
        send: (asked, request, signer) => {
          // Others may wait for the first session, too: it does not end with the pod that asked first.
          const isShared = signer === undefined && config.targetRoleArn !== undefined
          const send = (ends: AbortSignal): ReturnType<SendToSts> =>
            sendToSts(asked, request, signer, ends)
          return isShared ? withLimit(clock, EXCHANGE_MS, send) : send(signal)
        },
        now: () => clock.now(),
        lend: firstSessions.lendFor(config, serviceAccountUid),
      }).catch((error: unknown) => {
        if (!signal.aborted) throw error
        const text = `no ${exchangeOf(config)}: no complete response in ${EXCHANGE_MS / 1000} s`
        throw new SidecarError('transient', 'Timeout', text)
      })
    }),
  )
}
