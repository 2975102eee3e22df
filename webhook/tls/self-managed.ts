import type { Clock } from '../../shared/base/clock.ts'
import type { Logger } from '../../shared/base/log.ts'
import { isLostRace, type KubeClient } from '../../shared/server/kube/kube-client.ts'
import {
  CHECK_MS,
  CHECKS_PER_OVERLAP,
  createRotatingSecret,
} from '../../shared/server/rotating-secret.ts'
import type { SecretKeys } from '../../shared/server/shared-secret.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import { syncCaBundle } from './ca-bundle.ts'
import { applyStep } from './renewal.ts'
import { nextStep, type RotationPolicy, type TlsState } from './rotation.ts'
import type { ServingCertificateSource } from './source.ts'

export interface SelfManagedOptions {
  readonly kube: KubeClient
  readonly namespace: string
  readonly service: string
  readonly secretName: string
  readonly webhookConfiguration: string
  readonly leafLifetimeSeconds: number
  readonly caLifetimeSeconds: number
  readonly clock: Clock
  readonly log: Logger
}

/** Keys of the Secret's data; `ca.crt`, `tls.crt` and `tls.key` are what tools expect. */
const TLS_KEYS: SecretKeys<TlsState> = {
  bundlePem: 'ca.crt',
  caCertPem: 'ca-signing.crt',
  caKeyPem: 'ca-signing.key',
  certPem: 'tls.crt',
  keyPem: 'tls.key',
}

/** With short lifetimes the Secret is read more often. */
const CHECKS_PER_LIFETIME = 60

/**
 * `--tls self-managed`: CA and serving certificate in one Secret that the replicas share; the first to
 * write wins, so there is no leader. While the apiserver is unreachable, the current certificate stays in use.
 */
export function createSelfManagedSource(options: SelfManagedOptions): ServingCertificateSource {
  const { kube, namespace, secretName, clock, log } = options
  const path = `/api/v1/namespaces/${namespace}/secrets/${secretName}`
  const policy = policyOf(options)
  const secret = createRotatingSecret({
    kube,
    path,
    keys: TLS_KEYS,
    overlapMs: policy.overlapMs,
    clock,
    log,
    messages: {
      applied: 'certificate rotation step applied',
      failed: 'sync of certificates failed',
    },
    nextStep: (state: TlsState | undefined, nowMs) => nextStep(state, nowMs, policy),
    applyStep(step, state, nowMs) {
      if (step === 'reset' && state !== undefined) {
        log.warn({ path }, 'content of the Secret unusable, replacing it with a new CA')
      }
      return applyStep(step, state, nowMs, policy)
    },
    async activate({ bundlePem, certPem, keyPem }, before: ServingCertificate | undefined) {
      // The bundle first: a caller must trust the CA before it sees a leaf issued by it.
      await publishBundle(options, bundlePem)
      return certPem === before?.certPem ? before : readPair(certPem, keyPem)
    },
    onActivated({ expiresAtMs }) {
      log.info({ expiresAt: new Date(expiresAtMs).toISOString() }, 'serving certificate loaded')
    },
  })
  return {
    ...secret,
    get ready() {
      const current = secret.current()
      return current !== undefined && current.expiresAtMs > clock.now()
    },
  }
}

function policyOf(options: SelfManagedOptions): RotationPolicy {
  const { leafLifetimeSeconds, caLifetimeSeconds, service, namespace } = options
  const shorterLifetimeMs = Math.min(leafLifetimeSeconds, caLifetimeSeconds) * 1000
  const checkMs = Math.min(CHECK_MS, shorterLifetimeMs / CHECKS_PER_LIFETIME)
  const overlapMs = checkMs * CHECKS_PER_OVERLAP
  const dnsNames = [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`]
  return { leafLifetimeSeconds, caLifetimeSeconds, overlapMs, dnsNames }
}

async function publishBundle(options: SelfManagedOptions, bundlePem: string): Promise<void> {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${options.webhookConfiguration}`
  try {
    const outcome = await syncCaBundle(options.kube, path, bundlePem)
    if (outcome === 'written') options.log.info({ path }, 'caBundle written')
  } catch (error) {
    if (!isLostRace(error)) throw error
    await syncCaBundle(options.kube, path, bundlePem)
  }
}
