import type { CertificateSource } from '../contract/certificate-source.ts'
import type { Clock } from '../shared/base/clock.ts'
import { codeOf, messageOf } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'
import { issueLeaf, type Leaf } from '../shared/x509/certificate.ts'
import type { ActiveCa } from './ca/manager.ts'
import type { ReadCsr } from './csr.ts'
import type { Cluster } from './identity/apiserver.ts'
import { requireAlive, type Identity } from './identity/identity.ts'
import type { Metrics } from './metrics.ts'
import { requirePermitted, type PolicySettings } from './policy/policy.ts'
import { Refusal } from './refusal.ts'

export interface IssueDeps {
  readonly cluster: Cluster
  readonly current: () => ActiveCa | undefined
  readonly names: PolicySettings
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface IssueRequest {
  readonly source: CertificateSource
  /** Vouched for by the apiserver: a reviewed token, or a kubelet's request. */
  readonly identity: Identity
  /** Called with the pod, once it is known to be alive: proving a signature costs the most. @throws Refusal */
  readonly readCsr: (pod: unknown) => ReadCsr
  /** From notBefore to notAfter, after all bounds. */
  readonly lifetimeSeconds: number
}

export interface Issued extends Leaf {
  readonly bundlePem: string
  readonly uri: string
  readonly dnsNames: readonly string[]
}

/** What both sources have in common: alive, permitted, signed. @throws Refusal */
export async function issue(request: IssueRequest, deps: IssueDeps): Promise<Issued> {
  const { identity, readCsr, lifetimeSeconds } = request
  const [pod, namespace] = await Promise.all([
    deps.cluster.pod(identity),
    deps.cluster.namespace(identity.namespace),
  ])
  requireAlive(identity, pod)
  const { key, dnsNames, uris } = readCsr(pod)
  const uri = requirePermitted({ identity, dnsNames, uris }, namespace, deps.names)
  const ca = deps.current()
  if (ca === undefined) throw new Refusal('not-ready', 'the authority has no CA yet')
  const nowMs = deps.clock.now()
  const leaf = issueLeaf({ issuer: ca.issuer, key, dnsNames, uri, nowMs, lifetimeSeconds })
  if (leaf.notAfterMs <= nowMs) throw new Refusal('not-ready', 'the CA has ended')
  return { ...leaf, bundlePem: ca.bundlePem, uri, dnsNames }
}

/** One line for each certificate: who has what, and until when. */
export function recordIssued(request: IssueRequest, issued: Issued, deps: IssueDeps): void {
  deps.metrics.count(request.source, 'issued', '')
  deps.log.info(
    {
      ...aboutOf(request.source, request.identity),
      event: 'issued',
      serial: issued.serial,
      identity: issued.uri,
      dnsNames: issued.dnsNames.join(','),
      notAfter: new Date(issued.notAfterMs).toISOString(),
    },
    'certificate issued',
  )
}

/** One line for each refusal; what was not foreseen is a fault, and its message stays in the log. */
export function recordRefused(
  source: CertificateSource,
  identity: Identity | undefined,
  error: unknown,
  deps: Pick<IssueDeps, 'metrics' | 'log'>,
): void {
  const isRefusal = error instanceof Refusal
  const reason = isRefusal ? error.code : 'fault'
  deps.metrics.count(source, isRefusal && error.status < 500 ? 'refused' : 'failed', reason)
  const fields = {
    ...aboutOf(source, identity),
    event: 'refused',
    reason,
    message: messageOf(error),
    ...(isRefusal ? {} : { code: codeOf(error) }),
  }
  if (isRefusal) deps.log.warn(fields, 'certificate refused')
  else deps.log.error(fields, 'fault while issuing')
}

function aboutOf(
  source: CertificateSource,
  identity: Identity | undefined,
): Record<string, string | undefined> {
  return {
    source,
    namespace: identity?.namespace,
    serviceAccount: identity?.serviceAccount,
    pod: identity?.podName,
    podUid: identity?.podUid,
  }
}
