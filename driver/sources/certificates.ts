import { notAfterOf, type CertificateDocument } from '../../contract/certificate-document.ts'
import { AUTHORITY, TLS_VOLUME } from '../../contract/certificates.ts'
import type { DriverCertificate } from '../../contract/driver-volume.ts'
import type { IssueConfig } from '../../contract/exchanger-env.ts'
import type {
  AuthorityResponse,
  CertificateCall,
} from '../../exchanger/certificate/authority-client.ts'
import { certificateTask } from '../../exchanger/certificate/failures.ts'
import { requestCertificate } from '../../exchanger/certificate/request.ts'
import { certificateFor } from '../../exchanger/failure.ts'
import { CERTIFICATE } from '../../exchanger/sidecar/renewable.ts'
import { limitConcurrency, limitConcurrencyPerKey } from '../../shared/base/concurrency.ts'
import { codeOf } from '../../shared/base/errors.ts'
import { publishCertificate, readCertificate, withdrawCertificate } from '../files/tls-files.ts'
import { waitUntilReady } from '../files/volume.ts'
import type { PodToken } from '../pod-tokens.ts'
import { SharedRefresh } from '../shared-refresh.ts'
import { logOf, type Source, type SourceDeps } from './source.ts'
import type { AuthorityTrust } from './trust.ts'
import { openVolumeStore } from './volume-store.ts'

export interface CertificateSourceDeps extends SourceDeps {
  readonly authorityUrl: string
  readonly trust: AuthorityTrust
  /** @throws NoResponseError */
  readonly sendCertificateRequest: (
    call: CertificateCall,
    signal: AbortSignal,
  ) => Promise<AuthorityResponse>
}

/** Node's codes if the authority is not verified by the trust bundle. */
const UNVERIFIED = /CERT|SIGNATURE/

/** A key and a request take a few milliseconds of the one processor that this process has. */
const MAX_CONCURRENT_REQUESTS = 16
const MAX_CONCURRENT_PER_NAMESPACE = 4

/** Certificates, from the authority. No two pods share a key, so none shares a certificate. */
export function certificateSource(
  deps: CertificateSourceDeps,
): Source<DriverCertificate, CertificateDocument> {
  const { clock, log, volumes, authorityUrl } = deps
  const limit = limitConcurrency(MAX_CONCURRENT_REQUESTS)
  const limitOf = limitConcurrencyPerKey(MAX_CONCURRENT_PER_NAMESPACE)
  return {
    partsOf: (wanted) => [{ volume: TLS_VOLUME.name, wanted }],
    audienceOf: () => AUTHORITY.audience,
    keyOf: ({ uid }) => uid,
    make(pod, wanted, onUnwritten) {
      const { namespace, serviceAccount, name } = pod
      const config = { namespace, serviceAccount, pod: name, authorityUrl, ...wanted }
      return new SharedRefresh({
        ...deps,
        renewable: CERTIFICATE,
        wanted: certificateFor(config),
        log: logOf(log, pod),
        exchange: (token, signal) =>
          limitOf(namespace, () =>
            limit(async () => {
              signal.throwIfAborted()
              return requestOnce(config, token, { ...deps, signal })
            }),
          ),
        onUnwritten,
      })
    },
    async openStore(volume, signal) {
      await waitUntilReady(volume, volumes, { clock, signal })
      const files = {
        read: () => readCertificate(volume, volumes),
        write: (document: CertificateDocument) =>
          publishCertificate(volume, document, volumes, clock.now()),
        remove: () => withdrawCertificate(volume, volumes),
      }
      return openVolumeStore(files, (found) => notAfterOf(found) > clock.now())
    },
  }
}

async function requestOnce(
  config: IssueConfig,
  { jwt }: PodToken,
  deps: CertificateSourceDeps & { readonly signal: AbortSignal },
): Promise<CertificateDocument> {
  const { clock, metrics, trust, signal, sendCertificateRequest } = deps
  const document = await metrics.timed('certificate', () =>
    requestCertificate(config, {
      readToken: () => Promise.resolve(jwt),
      readTrustBundle: () => trust.read(certificateTask(config)),
      sendCertificateRequest: (call) => sendCertificateRequest(call, signal),
      now: () => clock.now(),
    }).catch((error: unknown) => {
      // A CA that was replaced without overlap: the mounted trust bundle counts again.
      if (UNVERIFIED.test(codeOf(error) ?? '')) trust.forget()
      throw error
    }),
  )
  trust.accept(document.trustBundle)
  return document
}
