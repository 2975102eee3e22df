import { sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { isLostRace, type KubeClient } from '../../shared/server/kube/kube-client.ts'
import { readPair, type ServingCertificate } from '../../shared/x509/pair.ts'
import { bringCaBundleInStep } from './ca-bundle.ts'
import { carryOut } from './renewal.ts'
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

/** How often the Secret is looked at; faster with short lives. */
const CHECK_MS = 60_000
const CHECKS_PER_LIFE = 60
/** While something is missing. */
const RETRY_MS = 2000
/** Several checks fit into the overlap, so that each replica has seen a step before the next. */
const CHECKS_PER_OVERLAP = 5
const MAX_STEPS_PER_CHECK = 5

interface Pace {
  readonly checkMs: number
  /** How long a step of the rotation must have been visible before the next. */
  readonly overlapMs: number
}

function paceOf({ leafLifetimeSeconds, caLifetimeSeconds }: SelfManagedOptions): Pace {
  const shorterLifeMs = Math.min(leafLifetimeSeconds, caLifetimeSeconds) * 1000
  const checkMs = Math.min(CHECK_MS, shorterLifeMs / CHECKS_PER_LIFE)
  return { checkMs, overlapMs: checkMs * CHECKS_PER_OVERLAP }
}

/**
 * `--tls self-managed`: CA and serving certificate in one Secret that the replicas share; the first to
 * write wins, so there is no leader. While the apiserver is away the present certificate stays.
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
      'serving certificate taken',
    )
  }
  const check = async (): Promise<void> => {
    const state = await ensureState(options)
    // The bundle first: no caller may meet a leaf before it trusts the leaf's CA.
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
        log.warn({ reason: messageOf(error) }, 'certificates cannot be brought in step')
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

class RotationError extends NocredsError<'ERR_ROTATION_RESTLESS'> {}

/** Reads the Secret and takes the steps that are due; what another replica wrote first counts. */
async function ensureState(options: SelfManagedOptions): Promise<TlsState> {
  const path = `/api/v1/namespaces/${options.namespace}/secrets/${options.secretName}`
  const policy = policyOf(options)
  for (let step = 0; step < MAX_STEPS_PER_CHECK; step += 1) {
    const stored = await readStoredState(options.kube, path)
    const nowMs = options.clock.now()
    const due = nextStep(stored.state, nowMs, policy)
    if (due === 'keep' && stored.state !== undefined) return stored.state
    if (due === 'keep') continue
    if (due === 'start-anew' && stored.state !== undefined) {
      options.log.warn({ path }, 'what is in the Secret cannot be used; a new CA replaces it')
    }
    const wrote = await stored.replace(await carryOut(due, stored.state, nowMs, policy))
    options.log.info({ step: due, wrote }, 'certificate rotation')
  }
  throw new RotationError(
    'ERR_ROTATION_RESTLESS',
    'the Secret does not come to rest; do the clocks of the replicas differ?',
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
    const outcome = await bringCaBundleInStep(options.kube, path, bundlePem)
    if (outcome === 'written') options.log.info({ path }, 'caBundle written')
  } catch (error) {
    if (!isLostRace(error)) throw error
    await bringCaBundleInStep(options.kube, path, bundlePem)
  }
}
