import { sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { isLostRace, type KubeClient } from '../../shared/server/kube/kube-client.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import { syncCaBundle } from './ca-bundle.ts'
import { applyStep } from './renewal.ts'
import { nextStep, type RotationPolicy, type TlsState } from './rotation.ts'
import { readStoredState } from './secret-store.ts'
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

/** How often the Secret is read; more often with short lifetimes. */
const CHECK_MS = 60_000
const CHECKS_PER_LIFETIME = 60
/** Until the next attempt after a failure. */
const RETRY_MS = 2000
/** Several checks fit into the overlap, so that each replica has seen a step before the next. */
const CHECKS_PER_OVERLAP = 5
const MAX_STEPS_PER_CHECK = 5

interface Pace {
  readonly checkMs: number
  /** How long one step of the rotation must be visible before the next. */
  readonly overlapMs: number
}

function paceOf({ leafLifetimeSeconds, caLifetimeSeconds }: SelfManagedOptions): Pace {
  const shorterLifetimeMs = Math.min(leafLifetimeSeconds, caLifetimeSeconds) * 1000
  const checkMs = Math.min(CHECK_MS, shorterLifetimeMs / CHECKS_PER_LIFETIME)
  return { checkMs, overlapMs: checkMs * CHECKS_PER_OVERLAP }
}

/**
 * `--tls self-managed`: CA and serving certificate in one Secret that the replicas share; the first to
 * write wins, so there is no leader. While the apiserver is unreachable, the current certificate stays in use.
 */
export function createSelfManagedSource(options: SelfManagedOptions): ServingCertificateSource {
  const { clock, log } = options
  const { checkMs } = paceOf(options)
  const listeners: ((certificate: ServingCertificate) => void)[] = []
  const first = Promise.withResolvers<ServingCertificate>()
  let current: ServingCertificate | undefined
  let ready = false
  let stopped = false

  const serveWith = (certificate: ServingCertificate): void => {
    if (certificate.certPem === current?.certPem) return
    current = certificate
    first.resolve(certificate)
    for (const listener of listeners) listener(certificate)
    log.info(
      { expiresAt: new Date(certificate.expiresAtMs).toISOString() },
      'serving certificate loaded',
    )
  }
  const check = async (): Promise<void> => {
    const state = await ensureState(options)
    // The bundle first: a caller must trust the CA before it sees a leaf issued by it.
    await publishBundle(options, state.bundlePem)
    serveWith(readPair(state.certPem, state.keyPem))
    ready = true
  }
  const run = async (): Promise<void> => {
    while (!stopped) {
      let pauseMs = checkMs
      try {
        await check()
      } catch (error) {
        pauseMs = Math.min(RETRY_MS, checkMs)
        log.warn({ error: messageOf(error) }, 'sync of certificates failed')
      }
      await sleep(clock, pauseMs)
    }
  }

  return {
    current: () => current,
    get ready() {
      return ready && current !== undefined && current.expiresAtMs > clock.now()
    },
    onChange(listener) {
      listeners.push(listener)
    },
    start() {
      void run()
      return first.promise
    },
    stop() {
      stopped = true
    },
  }
}

/** Reads the Secret and applies the steps that are due; the first replica to write wins. @throws NocredsError */
async function ensureState(options: SelfManagedOptions): Promise<TlsState> {
  const path = `/api/v1/namespaces/${options.namespace}/secrets/${options.secretName}`
  const policy = policyOf(options)
  for (let step = 0; step < MAX_STEPS_PER_CHECK; step += 1) {
    const stored = await readStoredState(options.kube, path)
    const nowMs = options.clock.now()
    const due = nextStep(stored.state, nowMs, policy)
    if (due === 'up-to-date' && stored.state !== undefined) return stored.state
    if (due === 'up-to-date') continue
    if (due === 'reset' && stored.state !== undefined) {
      options.log.warn({ path }, 'content of the Secret unusable, replacing it with a new CA')
    }
    const wrote = await stored.replace(await applyStep(due, stored.state, nowMs, policy))
    options.log.info({ step: due, wrote }, 'certificate rotation step applied')
  }
  throw new NocredsError(
    'ERR_ROTATION_UNSTABLE',
    `rotation did not converge in ${MAX_STEPS_PER_CHECK} steps; check the replicas' clocks for skew`,
  )
}

function policyOf(options: SelfManagedOptions): RotationPolicy {
  const { leafLifetimeSeconds, caLifetimeSeconds, service, namespace } = options
  const { overlapMs } = paceOf(options)
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
