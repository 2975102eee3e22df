import type { CertificateDocument } from '../contract/certificate-document.ts'
import type { CredentialDocument } from '../contract/credentials.ts'
import {
  DRIVER_VOLUME,
  fromAttributes,
  type DriverCertificate,
  type DriverCredentials,
  type DriverRequest,
} from '../contract/driver-volume.ts'
import { allSettled, limitConcurrencyPerKey } from '../shared/base/concurrency.ts'
import { codeOf, messageOf } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'
import type { NodePublishRequest, NodeUnpublishRequest } from './csi/methods.ts'
import type { PublishHandler } from './csi/server.ts'
import { DriverError } from './errors.ts'
import { Keeper } from './keeper.ts'
import type { Metrics } from './metrics.ts'
import type { Pod } from './pod-tokens.ts'
import {
  checkPublishRequest,
  checkUnpublishRequest,
  type PublishRequest,
} from './publish-request.ts'
import type { Source } from './sources/source.ts'
import { parseTarget, type Target } from './target.ts'

export interface VolumesDeps {
  /** `<kubelet>/pods`, as the kubelet spells it in target paths. */
  readonly podsFolder: string
  readonly credentials: Source<DriverCredentials, CredentialDocument>
  readonly certificates: Source<DriverCertificate, CertificateDocument>
  /** The folders that kubelets look for once a volume is published; always empty. */
  readonly targets: {
    exists(target: Target): Promise<boolean>
    make(target: Target): Promise<void>
    remove(target: Target): Promise<void>
  }
  /** Whether the driver wrote what the pod wants since its volumes were mounted. */
  readonly hasWritten: (uid: string, wanted: DriverRequest) => Promise<boolean>
  readonly metrics: Pick<Metrics, 'countPublish'>
  readonly log: Logger
}

/** The volumes of this node's pods: what each asks for is made, kept fresh, and forgotten with the pod. */
export class Volumes implements PublishHandler {
  readonly #deps: VolumesDeps
  readonly #credentials: Keeper<DriverCredentials, CredentialDocument>
  readonly #certificates: Keeper<DriverCertificate, CertificateDocument>
  /** One call at a time for each pod; by uid. */
  readonly #exclusively = limitConcurrencyPerKey(1)

  constructor(deps: VolumesDeps) {
    this.#deps = deps
    const onUnwritten = this.#noteUnwritten.bind(this)
    this.#credentials = new Keeper(deps.credentials, onUnwritten)
    this.#certificates = new Keeper(deps.certificates, onUnwritten)
  }

  /** How many pods are served. */
  get size(): number {
    return new Set([...this.#credentials.uids(), ...this.#certificates.uids()]).size
  }

  /**
   * Called at the start of a pod, and every minute or two from then on. Once a pod was served, a failure is only logged:
   * older kubelets would delete the mount of a running pod.
   *
   * @throws NocredsError with the reason, which the pod's events show
   */
  async publish(raw: NodePublishRequest, signal: AbortSignal): Promise<void> {
    const { metrics, podsFolder } = this.#deps
    try {
      const request = checkPublishRequest(raw, podsFolder)
      requireOwnName(request.target)
      const wanted = fromAttributes(request.attributes)
      await this.#exclusively(request.pod.uid, () => this.#publish(request, wanted, signal))
    } catch (error) {
      metrics.countPublish('failed', codeOf(error) ?? 'InternalError')
      if (!(await this.#isRunning(raw))) throw error
      const failure = { code: codeOf(error), error: messageOf(error) }
      this.#deps.log.warn(failure, 'republish failed; the pod keeps what it has')
    }
  }

  async unpublish(raw: NodeUnpublishRequest): Promise<void> {
    const target = checkUnpublishRequest(raw, this.#deps.podsFolder)
    await this.#exclusively(target.podUid, async () => {
      if (target.volume === DRIVER_VOLUME.name) this.forget(target.podUid)
      await this.#deps.targets.remove(target)
    })
  }

  /** Nothing is kept fresh for the pod any more; its folders go with it. */
  forget(uid: string): void {
    this.#credentials.leave(uid)
    this.#certificates.leave(uid)
  }

  /** Gives the pods with a certificate another trust bundle. */
  replaceTrustBundle(trustBundle: string): Promise<void> {
    return this.#certificates.amend((document) => ({ ...document, trustBundle }))
  }

  stop(): void {
    this.#credentials.stop()
    this.#certificates.stop()
  }

  async #publish(
    { pod, target, tokens }: PublishRequest,
    wanted: DriverRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const { targets, log, metrics } = this.#deps
    const { uid, name, namespace, serviceAccount } = pod
    const fields = { pod: name, namespace, serviceAccount, uid }
    const isServed = await this.#isServed(pod, target, wanted)
    const call = { tokens, signal, isServed }
    try {
      await allSettled([
        this.#credentials.give(pod, wanted.credentials, call),
        this.#certificates.give(pod, wanted.certificate, call),
      ])
      if (!isServed) await targets.make(target)
    } catch (error) {
      const failure = { ...fields, code: codeOf(error), error: messageOf(error) }
      if (!isServed) {
        this.forget(uid)
        log.warn(failure, 'publish failed')
        throw error
      }
      log.warn(failure, 'republish failed; the pod keeps what it has')
    }
    metrics.countPublish('ok', isServed ? 'republished' : 'published')
    const { roleArn: role, targetRoleArn: targetRole, containerRoleArns } = wanted.credentials ?? {}
    const containerRoles = containerRoleArns?.join(' ')
    if (!isServed) log.info({ ...fields, role, targetRole, containerRoles }, 'volume published')
  }

  /** True for a pod that runs. One that the node's reboot ended starts again, with its former folders. */
  async #isServed({ uid }: Pod, target: Target, wanted: DriverRequest): Promise<boolean> {
    const { targets, hasWritten } = this.#deps
    if (!(await targets.exists(target))) return false
    if (await hasWritten(uid, wanted)) return true
    await targets.remove(target)
    return false
  }

  /** Whether a request that cannot be read is about a pod that was served. */
  async #isRunning({ targetPath }: NodePublishRequest): Promise<boolean> {
    const { targets, podsFolder } = this.#deps
    try {
      return await targets.exists(parseTarget(targetPath, podsFolder))
    } catch {
      return false
    }
  }

  /** A pod that is gone without an unpublish has no folder any more. */
  #noteUnwritten(uid: string, error: unknown): void {
    const code = codeOf(error)
    this.#deps.log.warn({ uid, code, error: messageOf(error) }, 'volume not written')
    if (code === 'ERR_VOLUME_NOT_READY') this.forget(uid)
  }
}

/** The webhook writes one volume a pod, of this name. */
function requireOwnName({ volume }: Target): void {
  if (volume === DRIVER_VOLUME.name) return
  throw new DriverError('ERR_REQUEST', `the volume is named ${volume}, not ${DRIVER_VOLUME.name}`, {
    hint: 'volumes of this driver are written by the webhook of nocreds alone',
  })
}
