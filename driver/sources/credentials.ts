import { expirationOf, type CredentialDocument } from '../../contract/credentials.ts'
import type { DriverCredentials } from '../../contract/driver-volume.ts'
import type { ExchangeConfig } from '../../contract/exchanger-env.ts'
import { CREDENTIALS_VOLUME } from '../../contract/names.ts'
import { renderSessionName } from '../../contract/session-name.ts'
import { exchange, type ExchangeDeps } from '../../exchanger/credentials/exchange.ts'
import { claimsOf, type WebIdentityToken } from '../../exchanger/credentials/token.ts'
import { exchangeOf, SidecarError } from '../../exchanger/failure.ts'
import { CREDENTIALS } from '../../exchanger/sidecar/renewable.ts'
import { limitConcurrency, limitConcurrencyPerKey } from '../../shared/base/concurrency.ts'
import {
  publishCredentials,
  readCredentials,
  withdrawCredentials,
} from '../files/credentials-files.ts'
import { waitUntilReady } from '../files/volume.ts'
import type { Pod } from '../pod-tokens.ts'
import { SharedRefresh, type KubeletToken } from '../shared-refresh.ts'
import { logOf, type Source, type SourceDeps } from './source.ts'
import { openVolumeStore } from './volume-store.ts'

/** How STS is reached: settings of the driver, and none of a pod's. */
type StsSettings = Pick<ExchangeConfig, 'stsEndpoint' | 'stsProxy' | 'stsNoProxy' | 'stsCa'>

export type AssumeRole = (
  config: ExchangeConfig,
  jwt: string,
  signal: AbortSignal,
) => ReturnType<ExchangeDeps['assumeRole']>

export interface CredentialSourceDeps extends SourceDeps {
  readonly sts: StsSettings
  readonly assumeRole: AssumeRole
}

/** So many exchanges at once; a node that starts a hundred pods does not need a hundred connections. */
const MAX_CONCURRENT_EXCHANGES = 16
/** Of one namespace: pods whose STS hangs, such as by a region of their choice, delay their own namespace alone. */
const MAX_CONCURRENT_PER_NAMESPACE = 4
/** The response too; a refresher aborts an exchange after 30 s. */
const EXCHANGE_MS = 25_000
/** No session is longer; what claims to be was not made by STS. Source: STS API reference, DurationSeconds. */
const MAX_SESSION_MS = 12 * 3_600_000

/** AWS credentials, from STS. Pods of one ServiceAccount share them if they want the same. */
export function credentialSource(
  deps: CredentialSourceDeps,
): Source<DriverCredentials, CredentialDocument> {
  const { clock, log, volumes } = deps
  const limit = limitConcurrency(MAX_CONCURRENT_EXCHANGES)
  const limitOf = limitConcurrencyPerKey(MAX_CONCURRENT_PER_NAMESPACE)
  return {
    audienceOf: ({ audience }) => audience,
    keyOf(pod, wanted, { serviceAccountUid }) {
      const { roleArn, sessionDurationSeconds, sessionName, audience, region } = wanted
      const { namespace, serviceAccount } = pod
      const parameters = [roleArn, sessionDurationSeconds, audience, region ?? '']
      return JSON.stringify([
        namespace,
        serviceAccount,
        serviceAccountUid,
        sessionNameOf(pod, sessionName),
        parameters,
      ])
    },
    make(pod, wanted, onUnwritten) {
      const { namespace, serviceAccount, name } = pod
      const config = { namespace, serviceAccount, pod: name, ...wanted, ...deps.sts }
      return new SharedRefresh({
        ...deps,
        renewable: CREDENTIALS,
        wanted: exchangeOf(config),
        log: logOf(log, pod, { role: wanted.roleArn }),
        exchange: (token, signal) =>
          limitOf(namespace, () =>
            limit(async () => {
              signal.throwIfAborted() // it waited too long for its turn
              return exchangeOnce(config, token, { ...deps, signal })
            }),
          ),
        onUnwritten,
      })
    },
    async openStore({ uid }, signal) {
      const volume = { podUid: uid, name: CREDENTIALS_VOLUME.name }
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

async function exchangeOnce(
  config: ExchangeConfig,
  { jwt }: KubeletToken,
  deps: CredentialSourceDeps & { readonly signal: AbortSignal },
): Promise<CredentialDocument> {
  const { clock, metrics, assumeRole } = deps
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(EXCHANGE_MS)])
  const readToken = (): Promise<WebIdentityToken> => {
    const claims = claimsOf(jwt)
    if (claims !== undefined) return Promise.resolve({ jwt, claims })
    const text = `no ${exchangeOf(config)}: the token of the kubelet is not a JWT`
    return Promise.reject(new SidecarError('token', 'TokenMalformed', text))
  }
  return metrics.timed('credentials', () =>
    exchange(config, {
      readToken,
      assumeRole: (asked, token) => assumeRole(asked, token, signal),
      now: () => clock.now(),
    }).catch((error: unknown) => {
      if (!signal.aborted) throw error
      const text = `no ${exchangeOf(config)}: no complete response in ${EXCHANGE_MS / 1000} s`
      throw new SidecarError('transient', 'Timeout', text)
    }),
  )
}
