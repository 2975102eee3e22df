import { AUTHORITY, CERTIFICATE_SECONDS } from '../../contract/certificates.ts'
import { sleepUnless, type Random } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import {
  KubeError,
  type KubeClient,
  type KubeObject,
} from '../../shared/server/kube/kube-client.ts'
import { Reflector } from '../../shared/server/kube/reflector.ts'
import { CERTIFICATES_API, waitUntilServed } from '../../shared/server/kube/served.ts'
import { issue, recordIssued, recordRefused, type IssueDeps } from '../issue.ts'
import { Refusal } from '../refusal.ts'
import {
  csrOf,
  identityOf,
  isDecided,
  lifetimeOf,
  requireRequestedByPod,
  withCertificate,
  withDenial,
} from './request.ts'
import { WorkQueue } from './work-queue.ts'

export interface PodCertificateDeps extends IssueDeps {
  readonly kube: KubeClient
  readonly random: Random
  readonly maxLifetimeSeconds: number
}

export interface PodCertificateController {
  /** True once it is known that requests are not served, or once they are watched. */
  readonly ready: boolean
  start(): void
  stop(): void
}

const RESOURCE = 'podcertificaterequests'
/** Undecided requests are retried at this interval. */
const RETRY_MS = 10_000

/**
 * Issues certificates for PodCertificateRequests: a kubelet creates one at the apiserver, which validates what
 * kubelets write, and finds the certificate in its status. Replicas may decide the same request; the first one wins.
 */
export function createPodCertificateController(deps: PodCertificateDeps): PodCertificateController {
  const stopping = new AbortController()
  let isKnownAbsent = false
  let reflector: Reflector<'pending' | 'decided'> | undefined
  const work = new WorkQueue({
    isDue: (key) => reflector?.get(key) === 'pending',
    run: (key) => decide(key, deps),
  })
  const discovery = {
    ...deps,
    resource: RESOURCE,
    failed: 'PodCertificateRequests discovery failed',
    onAbsent() {
      isKnownAbsent = true
    },
  }
  const run = async (signal: AbortSignal): Promise<void> => {
    if (!(await waitUntilServed(discovery, signal))) return
    reflector = watchRequests(deps, work)
    reflector.start()
    while (!signal.aborted) {
      for (const key of reflector.keys()) work.add(key)
      await sleepUnless(deps.clock, RETRY_MS, signal)
    }
  }

  return {
    get ready() {
      return reflector?.ready ?? isKnownAbsent
    },
    start() {
      void run(stopping.signal)
    },
    stop() {
      stopping.abort()
      reflector?.stop()
    },
  }
}

function watchRequests(
  deps: PodCertificateDeps,
  work: WorkQueue,
): Reflector<'pending' | 'decided'> {
  return new Reflector({
    ...deps,
    path: `${CERTIFICATES_API}/${RESOURCE}`,
    kind: 'PodCertificateRequest',
    selector: { fieldSelector: `spec.signerName=${AUTHORITY.signerName}` },
    whole: true,
    // Anyone who may create requests chooses their content; each is read again when it is processed.
    keep: (request) => (isDecided(request) ? 'decided' : 'pending'),
    onChange(key) {
      work.add(key)
    },
  })
}

/** Never throws: a request with a temporary failure stays undecided. @param key `namespace/name` */
async function decide(key: string, deps: PodCertificateDeps): Promise<void> {
  const { clock, metrics } = deps
  const startedAt = clock.monotonic()
  let request: KubeObject | undefined
  try {
    request = await read(key, deps.kube)
    if (request === undefined || isDecided(request)) return // another replica was faster
    await answer(request, deps)
  } catch (error) {
    await deny(request, error, deps)
  }
  metrics.observe('pod-certificate', (clock.monotonic() - startedAt) / 1000)
}

/** Undefined if absent. @throws Refusal */
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
      requireRequestedByPod(request, pod)
      return csrOf(request)
    },
    lifetimeSeconds: lifetimeOf(request, deps.maxLifetimeSeconds),
  } as const
  const issued = await issue(asked, deps)
  const lifetimeSeconds = (issued.notAfterMs - issued.notBeforeMs) / 1000
  if (lifetimeSeconds < CERTIFICATE_SECONDS.min) {
    throw new Refusal('not-ready', 'the CA expires within the hour that the apiserver requires')
  }
  const isFirst = await writeStatus(withCertificate(request, issued, deps.clock.now()), deps.kube)
  if (isFirst) recordIssued(asked, issued, deps)
}

/** Denies permanently what the pod's author must change; anything else is retried. */
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
    deps.log.warn({ error: messageOf(failure) }, 'denial not written')
  }
}

/** False if another replica was faster, or the request was deleted. */
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
