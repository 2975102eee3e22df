import { AUTHORITY, CERTIFICATE_SECONDS } from '../../contract/certificates.ts'
import { sleepUnless, type Random } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import {
  KubeError,
  type KubeClient,
  type KubeObject,
} from '../../shared/server/kube/kube-client.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import {
  CERTIFICATES_API,
  isServed,
  PROBE_MS,
  PROBE_RETRY_MS,
} from '../../shared/server/kube/served.ts'
import { issue, recordIssued, recordRefused, type IssueDeps } from '../issue.ts'
import { Refusal } from '../refusal.ts'
import {
  csrOf,
  identityOf,
  isDecided,
  lifetimeOf,
  requireAsked,
  withCertificate,
  withDenial,
} from './request.ts'

export interface PodCertificateDeps extends IssueDeps {
  readonly kube: KubeClient
  readonly random: Random
  readonly maxLifetimeSeconds: number
}

export interface PodCertificateController {
  /** True where the apiserver serves PodCertificateRequests and they are followed. */
  readonly open: boolean
  /** True unless requests are served and not yet followed. */
  readonly ready: boolean
  start(): void
  stop(): void
}

const RESOURCE = 'podcertificaterequests'
/** What failed for the time being is tried again. */
const RETRY_MS = 10_000
const MAX_AT_ONCE = 16

/**
 * The kubelet's way: it asks by an object of the apiserver, which vouches for what kubelets write,
 * and finds the certificate in its status. Replicas may answer the same request; the first one counts.
 */
export function createPodCertificateController(deps: PodCertificateDeps): PodCertificateController {
  const { kube, clock, log } = deps
  const stopping = new AbortController()
  const underWay = new Set<string>()
  /** In the order in which they came. */
  const waiting = new Set<string>()
  let probed = false
  let reflector: Reflector<'open' | 'decided'> | undefined

  const take = (key: string): void => {
    if (reflector?.get(key) !== 'open' || underWay.has(key)) return
    if (underWay.size >= MAX_AT_ONCE) {
      waiting.add(key)
      return
    }
    underWay.add(key)
    void decide(key, deps).finally(() => {
      underWay.delete(key)
      for (const next of waiting) {
        if (underWay.size >= MAX_AT_ONCE) break
        waiting.delete(next)
        take(next)
      }
    })
  }
  const follow = (): void => {
    reflector = new Reflector({
      ...deps,
      path: `${CERTIFICATES_API}/${RESOURCE}`,
      kind: 'PodCertificateRequest',
      selector: { fieldSelector: `spec.signerName=${AUTHORITY.signerName}` },
      whole: true,
      // Anyone who may create requests fills them at will; each is read again in its turn.
      keep: (request) => (isDecided(request) ? 'decided' : 'open'),
      onChange: take,
    })
    reflector.start()
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let pauseMs = RETRY_MS
      if (reflector !== undefined) reflector.keys().forEach(take)
      else {
        try {
          const served = await isServed(kube, RESOURCE)
          probed = true
          if (served) follow()
          else pauseMs = PROBE_MS
        } catch (error) {
          pauseMs = PROBE_RETRY_MS
          log.warn({ reason: messageOf(error) }, 'cannot ask for PodCertificateRequests')
        }
      }
      await sleepUnless(clock, pauseMs, stopping.signal)
    }
  }

  return {
    get open() {
      return reflector?.ready === true
    },
    get ready() {
      return reflector === undefined ? probed : reflector.ready
    },
    start() {
      void run()
    },
    stop() {
      stopping.abort()
      reflector?.stop()
    },
  }
}

/** Never throws: what fails for the time being stays undecided. @param key `namespace/name` */
async function decide(key: string, deps: PodCertificateDeps): Promise<void> {
  const { clock, metrics } = deps
  const startedAt = clock.monotonic()
  let request: KubeObject | undefined
  try {
    request = await read(key, deps.kube)
    if (request === undefined || isDecided(request)) return // another replica was first
    await answer(request, deps)
  } catch (error) {
    await deny(request, error, deps)
  }
  metrics.observe('pod-certificate', (clock.monotonic() - startedAt) / 1000)
}

/** Undefined if it is gone. @throws Refusal */
async function read(key: string, kube: KubeClient): Promise<KubeObject | undefined> {
  try {
    return await kube.get(pathOf(key))
  } catch (error) {
    throw new Refusal('apiserver-unreachable', messageOf(error), { cause: error })
  }
}

/** @throws Refusal; KubeError */
async function answer(request: KubeObject, deps: PodCertificateDeps): Promise<void> {
  const asked = {
    source: 'pod-certificate',
    identity: identityOf(request),
    readCsr(pod: unknown) {
      requireAsked(request, pod)
      return csrOf(request)
    },
    lifetimeSeconds: lifetimeOf(request, deps.maxLifetimeSeconds),
  } as const
  const issued = await issue(asked, deps)
  const lifeSeconds = (issued.notAfterMs - issued.notBeforeMs) / 1000
  if (lifeSeconds < CERTIFICATE_SECONDS.min) {
    throw new Refusal('not-ready', 'the CA ends within the hour that the apiserver demands')
  }
  const isFirst = await writeStatus(withCertificate(request, issued, deps.clock.now()), deps.kube)
  if (isFirst) recordIssued(asked, issued, deps)
}

/** Denies for good what the pod's author must change; anything else is tried again. */
async function deny(
  request: KubeObject | undefined,
  error: unknown,
  deps: PodCertificateDeps,
): Promise<void> {
  try {
    if (request === undefined) {
      recordRefused('pod-certificate', undefined, error, deps)
      return
    }
    if (error instanceof Refusal && error.status < 500) {
      const denied = withDenial(request, error.code, error.message, deps.clock.now())
      if (!(await writeStatus(denied, deps.kube))) return
    }
    recordRefused('pod-certificate', identityOf(request), error, deps)
  } catch (failure) {
    deps.log.warn({ reason: messageOf(failure) }, 'a denial cannot be written')
  }
}

/** False where another replica was first, or the request is gone. */
async function writeStatus(request: KubeObject, kube: KubeClient): Promise<boolean> {
  const { namespace = '', name = '' } = request.metadata
  try {
    await kube.replace(`${pathOf(`${namespace}/${name}`)}/status`, request)
    return true
  } catch (error) {
    if (error instanceof KubeError && (error.status === 409 || error.status === 404)) return false
    throw error
  }
}

function pathOf(key: string): string {
  const [namespace = '', name = ''] = key.split('/').map(encodeURIComponent)
  return `${CERTIFICATES_API}/namespaces/${namespace}/${RESOURCE}/${name}`
}
