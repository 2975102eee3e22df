import type { NodePublishRequest, NodeUnpublishRequest } from './csi/methods.ts'
import { DriverError, shown } from './errors.ts'
import { boundTokens, tokensOf, UID, type Pod, type PodToken } from './pod-tokens.ts'
import { parseTarget, type Target } from './target.ts'

/** A publish that has been checked. It holds tokens: never log it. */
export interface PublishRequest {
  readonly pod: Pod
  readonly target: Target
  /** By audience; at least one. */
  readonly tokens: ReadonlyMap<string, PodToken>
  /** What the pod's volume says beyond what the kubelet adds: at most 32 entries. */
  readonly attributes: Readonly<Record<string, string>>
}

/** Prefix of what the kubelet itself adds to a volume's attributes. */
const KUBELETS = 'csi.storage.k8s.io/'

const MAX_ATTRIBUTES = 32
/** Ten ARNs of policies are the longest. */
const MAX_ATTRIBUTE_LENGTH = 6656
const ATTRIBUTE_NAME = /^[a-zA-Z][a-zA-Z0-9./-]{0,62}$/

/** Source: Kubernetes, "Object Names and IDs". */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/

/**
 * Checks all that a kubelet sends with NodePublishVolume. The author of a pod chooses part of it.
 *
 * @param podsFolder `<kubelet>/pods`, as the kubelet spells it in target paths
 * @throws DriverError ERR_REQUEST or ERR_TOKEN_POD; its message quotes no token and no secret
 */
export function checkPublishRequest(
  request: NodePublishRequest,
  podsFolder: string,
): PublishRequest {
  const { volumeContext, readonly } = request
  if (!readonly) throw refused('the volume must be readOnly: true')
  requireEphemeral(volumeContext)
  const pod: Pod = {
    uid: podInfo(volumeContext, 'pod.uid', UID),
    name: podInfo(volumeContext, 'pod.name', SUBDOMAIN),
    namespace: podInfo(volumeContext, 'pod.namespace', LABEL),
    serviceAccount: podInfo(volumeContext, 'serviceAccount.name', SUBDOMAIN),
  }
  const target = parseTarget(request.targetPath, podsFolder)
  if (target.podUid !== pod.uid) {
    throw refused(`target_path is not in the folder of the pod ${pod.uid}`)
  }
  const tokens = boundTokens(tokensOf(request), pod)
  return { pod, target, tokens, attributes: attributesOf(volumeContext) }
}

/**
 * Checks a NodeUnpublishVolume. It comes without pod information, also for pods whose publish was refused.
 *
 * @throws DriverError ERR_REQUEST
 */
export function checkUnpublishRequest(request: NodeUnpublishRequest, podsFolder: string): Target {
  return parseTarget(request.targetPath, podsFolder)
}

function requireEphemeral(context: NodePublishRequest['volumeContext']): void {
  const ephemeral = context.get(`${KUBELETS}ephemeral`)
  if (ephemeral === 'true') return
  if (ephemeral === undefined) throw noPodInfo('ephemeral')
  throw refused('the volume must be an inline volume of the pod, not a PersistentVolume')
}

function podInfo(
  context: NodePublishRequest['volumeContext'],
  name: string,
  allowed: RegExp,
): string {
  const value = context.get(KUBELETS + name)
  if (value === undefined) throw noPodInfo(name)
  if (!allowed.test(value))
    throw refused(`${KUBELETS}${name} is ${shown(value)}, which is no such name`)
  return value
}

function attributesOf(context: NodePublishRequest['volumeContext']): Record<string, string> {
  const given = [...context].filter(([name]) => !name.startsWith(KUBELETS))
  if (given.length > MAX_ATTRIBUTES) {
    throw refused(
      `the volume has ${given.length} attributes; at most ${MAX_ATTRIBUTES} are allowed`,
    )
  }
  for (const [name, value] of given) {
    if (!ATTRIBUTE_NAME.test(name)) throw refused(`the volume has the attribute ${shown(name)}`)
    if (value.length > MAX_ATTRIBUTE_LENGTH) {
      throw refused(
        `the attribute ${name} has ${value.length} characters; at most ${MAX_ATTRIBUTE_LENGTH} are allowed`,
      )
    }
  }
  return Object.fromEntries(given)
}

function noPodInfo(name: string): DriverError {
  return new DriverError('ERR_REQUEST', `the kubelet sent no ${KUBELETS}${name}`, {
    hint: 'the CSIDriver must have podInfoOnMount: true',
  })
}

function refused(why: string): DriverError {
  return new DriverError('ERR_REQUEST', why)
}
