import { AUTHORITY, CERTIFICATE_SECONDS } from '../../contract/certificates.ts'
import { sleepUnless, type Random } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'
import { Reflector } from '../../service/kube/reflector.ts'
import { issue, noteIssued, noteRefused, type IssueDeps } from '../issue.ts'
import { Refusal } from '../refusal.ts'
import { CERTIFICATES_API, isServed, PROBE_MS, PROBE_RETRY_MS } from '../served.ts'
import { csrOf, identityOf, isDecided, lifetimeOf, withCertificate, withDenial } from './request.ts'

export interface KubeletDoorDeps extends IssueDeps {
  readonly kube: KubeClient
  readonly random: Random
  readonly maxLifetimeSeconds: number
}

export interface KubeletDoor {
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
const MOST_AT_ONCE = 32

/**
 * The kubelet's way: it asks by an object of the apiserver, which vouches for the pod (NodeRestriction),
 * and finds the certificate in its status. Replicas may answer the same request; the first one counts.
 */
export function createKubeletDoor(deps: KubeletDoorDeps): KubeletDoor {
  const { kube, clock, log } = deps
  const stopping = new AbortController()
  const underWay = new Set<string>()
  /** In the order in which they came. */
  const waiting = new Set<string>()
  let probed = false
  let reflector: Reflector<KubeObject | 'decided'> | undefined

  const take = (key: string): void => {
    const request = reflector?.get(key)
    if (request === undefined || request === 'decided') return
    if (underWay.has(key)) return
    if (underWay.size >= MOST_AT_ONCE) {
      waiting.add(key)
      return
    }
    underWay.add(key)
    void decide(request, deps).finally(() => {
      underWay.delete(key)
      for (const next of waiting) {
        if (underWay.size >= MOST_AT_ONCE) break
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
      keep: (request) => (isDecided(request) ? 'decided' : request),
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

/** Never throws: what fails for the time being stays undecided. */
async function decide(request: KubeObject, deps: KubeletDoorDeps): Promise<void> {
  const { clock, metrics, maxLifetimeSeconds } = deps
  const startedAt = clock.monotonic()
  const asked = {
    door: 'pod-certificate',
    identity: identityOf(request),
    readCsr: () => csrOf(request),
    lifetimeSeconds: lifetimeOf(request, maxLifetimeSeconds),
  } as const
  try {
    const issued = await issue(asked, deps)
    const lifeSeconds = (issued.notAfterMs - issued.notBeforeMs) / 1000
    if (lifeSeconds < CERTIFICATE_SECONDS.min) {
      throw new Refusal('not-ready', 'the CA ends within the hour that the apiserver demands')
    }
    const isFirst = await writeStatus(withCertificate(request, issued, clock.now()), deps.kube)
    if (isFirst) noteIssued(asked, issued, deps)
  } catch (error) {
    await deny(request, error, deps)
  } finally {
    metrics.observe('pod-certificate', (clock.monotonic() - startedAt) / 1000)
  }
}

/** Denies for good what the pod's author must change; anything else is tried again. */
async function deny(request: KubeObject, error: unknown, deps: KubeletDoorDeps): Promise<void> {
  try {
    if (error instanceof Refusal && error.status < 500) {
      const denied = withDenial(request, error.code, error.message, deps.clock.now())
      if (!(await writeStatus(denied, deps.kube))) return
    }
    noteRefused('pod-certificate', identityOf(request), error, deps)
  } catch (failure) {
    deps.log.warn({ reason: messageOf(failure) }, 'a denial cannot be written')
  }
}

/** False where another replica was first, or the request is gone. */
async function writeStatus(request: KubeObject, kube: KubeClient): Promise<boolean> {
  const { namespace = '', name = '' } = request.metadata
  const path = `${CERTIFICATES_API}/namespaces/${encodeURIComponent(namespace)}/${RESOURCE}/${encodeURIComponent(name)}/status`
  try {
    await kube.replace(path, request)
    return true
  } catch (error) {
    if (error instanceof KubeError && (error.status === 409 || error.status === 404)) return false
    throw error
  }
}
