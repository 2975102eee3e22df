import { AUTHORITY, CERTIFICATE_SECONDS } from '../../contract/certificates.ts'
import { sleepUnless, type Random } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'
import { Reflector } from '../../service/kube/reflector.ts'
import { issue, noteIssued, noteRefused, type IssueDeps } from '../issue.ts'
import { Refusal } from '../refusal.ts'
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

const GROUP = '/apis/certificates.k8s.io/v1'
const RESOURCE = 'podcertificaterequests'
/** A cluster may begin to serve them when it is upgraded. */
const PROBE_MS = 180_000
const PROBE_RETRY_MS = 5000
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
  let reflector: Reflector<'decided' | 'undecided'> | undefined

  const take = (key: string): void => {
    if (reflector?.get(key) !== 'undecided' || underWay.has(key)) return
    if (underWay.size >= MOST_AT_ONCE) {
      waiting.add(key)
      return
    }
    underWay.add(key)
    void lookAt(key, deps).finally(() => {
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
      path: `${GROUP}/${RESOURCE}`,
      kind: 'PodCertificateRequest',
      selector: { fieldSelector: `spec.signerName=${AUTHORITY.signerName}` },
      whole: true,
      // Their authors choose most of what is in them, so each is read again when its turn comes.
      keep: (request) => (isDecided(request) ? 'decided' : 'undecided'),
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
          const isServed = await serves(kube)
          probed = true
          if (isServed) follow()
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

async function serves(kube: KubeClient): Promise<boolean> {
  const { resources = [] } = ((await kube.get(GROUP)) ?? {}) as {
    readonly resources?: readonly { readonly name?: string }[]
  }
  return resources.some(({ name }) => name === RESOURCE)
}

/** Never throws: what fails for the time being stays undecided. @param key `namespace/name` */
async function lookAt(key: string, deps: KubeletDoorDeps): Promise<void> {
  const [namespace = '', name = ''] = key.split('/')
  try {
    const request = await deps.kube.get(pathOf(namespace, name))
    if (request !== undefined && !isDecided(request)) await decide(request, deps)
  } catch (error) {
    deps.log.warn({ key, reason: messageOf(error) }, 'a request for a certificate cannot be read')
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

function pathOf(namespace: string, name: string): string {
  return `${GROUP}/namespaces/${encodeURIComponent(namespace)}/${RESOURCE}/${encodeURIComponent(name)}`
}

/** False where another replica was first, or the request is gone. */
async function writeStatus(request: KubeObject, kube: KubeClient): Promise<boolean> {
  const { namespace = '', name = '' } = request.metadata
  try {
    await kube.replace(`${pathOf(namespace, name)}/status`, request)
    return true
  } catch (error) {
    if (error instanceof KubeError && (error.status === 409 || error.status === 404)) return false
    throw error
  }
}
