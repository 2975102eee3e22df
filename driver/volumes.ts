import type { CertificateDocument } from '../contract/certificate-document.ts'
import type { CredentialDocument } from '../contract/credentials.ts'
import { DRIVER_VOLUME, fromAttributes, type DriverRequest } from '../contract/driver-volume.ts'
import type { Store } from '../exchanger/publish/store.ts'
import { createMutex } from '../exchanger/mutex.ts'
import { codeOf, messageOf } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'
import type { NodePublishRequest, NodeUnpublishRequest } from './csi/methods.ts'
import type { PublishHandler } from './csi/server.ts'
import { DriverError } from './errors.ts'
import type { Pod, PodToken } from './pod-tokens.ts'
import {
  checkPublishRequest,
  checkUnpublishRequest,
  type PublishRequest,
} from './publish-request.ts'
import { Registry } from './registry.ts'
import type { SharedRefresh } from './shared-refresh.ts'
import type { Target } from './target.ts'

/** Where one kind of thing comes from, for pods that want it by `Wanted`. */
export interface Source<Wanted, Thing> {
  /** Audience of the token that is exchanged. */
  audienceOf(wanted: Wanted): string
  /** The same for all pods that may share one exchange. */
  keyOf(pod: Pod, wanted: Wanted): string
  make(pod: Pod, wanted: Wanted): SharedRefresh<Thing>
  /** The pod's folder. Waits until the kubelet has prepared it. @throws DriverError */
  openStore(pod: Pod): Promise<Store<Thing>>
}

export interface VolumesDeps {
  /** `<kubelet>/pods`, as the kubelet spells it in target paths. */
  readonly podsFolder: string
  readonly credentials: Source<NonNullable<DriverRequest['credentials']>, CredentialDocument>
  readonly certificates: Source<NonNullable<DriverRequest['certificate']>, CertificateDocument>
  /** The folders that kubelets look for once a volume is published; always empty. */
  readonly targets: {
    exists(target: Target): Promise<boolean>
    make(target: Target): Promise<void>
    remove(target: Target): Promise<void>
  }
  readonly log: Logger
}

/** The volumes of this node's pods: what each asks for is made, kept fresh, and forgotten with the pod. */
export class Volumes implements PublishHandler {
  readonly #deps: VolumesDeps
  readonly #credentials = new Kept<NonNullable<DriverRequest['credentials']>, CredentialDocument>()
  readonly #certificates = new Kept<
    NonNullable<DriverRequest['certificate']>,
    CertificateDocument
  >()
  /** One call at a time for each pod; by uid. */
  readonly #queues = new Map<
    string,
    { readonly inTurn: ReturnType<typeof createMutex>; calls: number }
  >()

  constructor(deps: VolumesDeps) {
    this.#deps = deps
  }

  /**
   * Called at the start of a pod, and every minute or two from then on. Once a pod was served no call fails any more:
   * older kubelets would delete the mount of a running pod.
   */
  async publish(raw: NodePublishRequest): Promise<void> {
    const request = checkPublishRequest(raw, this.#deps.podsFolder)
    requireOwnName(request.target)
    const wanted = fromAttributes(request.attributes)
    await this.#inTurn(request.pod.uid, () => this.#publish(request, wanted))
  }

  async unpublish(raw: NodeUnpublishRequest): Promise<void> {
    const target = checkUnpublishRequest(raw, this.#deps.podsFolder)
    await this.#inTurn(target.podUid, async () => {
      if (target.volume === DRIVER_VOLUME.name) this.forget(target.podUid)
      await this.#deps.targets.remove(target)
    })
  }

  /** Nothing is kept fresh for the pod any more; its folders go with it. */
  forget(uid: string): void {
    this.#credentials.leave(uid)
    this.#certificates.leave(uid)
  }

  stop(): void {
    this.#credentials.stop()
    this.#certificates.stop()
  }

  async #publish({ pod, target, tokens }: PublishRequest, wanted: DriverRequest): Promise<void> {
    const { targets, log, credentials, certificates } = this.#deps
    const { uid, name, namespace, serviceAccount } = pod
    const fields = { pod: name, namespace, serviceAccount, uid }
    const wasServed = await targets.exists(target)
    try {
      await settled([
        this.#credentials.give(pod, wanted.credentials, tokens, credentials),
        this.#certificates.give(pod, wanted.certificate, tokens, certificates),
      ])
      if (wasServed) return
      await targets.make(target)
    } catch (error) {
      const failure = { ...fields, code: codeOf(error), error: messageOf(error) }
      if (wasServed) {
        log.warn(failure, 'republish failed; the pod keeps what it has')
        return
      }
      this.forget(uid)
      log.warn(failure, 'publish failed')
      throw error
    }
    log.info({ ...fields, role: wanted.credentials?.roleArn }, 'volume published')
  }

  async #inTurn(uid: string, action: () => Promise<void>): Promise<void> {
    const entry = this.#queues.get(uid) ?? { inTurn: createMutex(), calls: 0 }
    this.#queues.set(uid, entry)
    entry.calls += 1
    try {
      await entry.inTurn(action)
    } finally {
      entry.calls -= 1
      if (entry.calls === 0) this.#queues.delete(uid)
    }
  }
}

/** One kind of thing, and the folders that it is published in. */
class Kept<Wanted, Thing> {
  readonly #registry = new Registry<Thing>()
  readonly #stores = new Map<string, Store<Thing>>()

  async give(
    pod: Pod,
    wanted: Wanted | undefined,
    tokens: ReadonlyMap<string, PodToken>,
    source: Source<Wanted, Thing>,
  ): Promise<void> {
    if (wanted === undefined) return
    const token = tokenFor(source.audienceOf(wanted), tokens)
    const store = this.#stores.get(pod.uid) ?? (await source.openStore(pod))
    this.#stores.set(pod.uid, store)
    const member = { uid: pod.uid, store, token }
    await this.#registry.join(source.keyOf(pod, wanted), member, () => source.make(pod, wanted))
  }

  leave(uid: string): void {
    this.#registry.leave(uid)
    this.#stores.delete(uid)
  }

  stop(): void {
    this.#registry.stop()
  }
}

function tokenFor(audience: string, tokens: ReadonlyMap<string, PodToken>): PodToken {
  const token = tokens.get(audience)
  if (token !== undefined) return token
  const sent = [...tokens.keys()].join(', ')
  throw new DriverError(
    'ERR_AUDIENCE',
    `the kubelet sent no token for the audience ${audience}, but for ${sent}`,
    {
      hint: `CSIDriver ${DRIVER_VOLUME.driver} must request it in tokenRequests, or the pod takes the sidecar (nocreds.dev/exchanger: sidecar)`,
    },
  )
}

/** The webhook writes one volume a pod, of this name. */
function requireOwnName({ volume }: Target): void {
  if (volume === DRIVER_VOLUME.name) return
  throw new DriverError('ERR_REQUEST', `the volume is named ${volume}, not ${DRIVER_VOLUME.name}`, {
    hint: 'volumes of this driver are written by the webhook of nocreds alone',
  })
}

/** Waits for all of them, so that nothing goes on behind an answer, and then fails as the first one that did. */
async function settled(all: readonly Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(all)) if (one.status === 'rejected') throw one.reason
}
