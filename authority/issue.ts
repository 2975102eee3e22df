import type { CertificateSource } from '../contract/certificate-source.ts'
import type { Clock } from '../shared/base/clock.ts'
import { codeOf, messageOf } from '../shared/base/errors.ts'
import type { Logger } from '../shared/base/log.ts'
import type { ReadCsr } from './csr.ts'
import type { Cluster } from './identity/apiserver.ts'
import { requireRunning, type Identity } from './identity/identity.ts'
import type { Metrics } from './metrics.ts'
import { requirePermitted, type PolicySettings } from './policy/policy.ts'
import { Refusal } from './refusal.ts'
import type { Signed, Signer } from './signer.ts'

export interface IssueDeps {
  readonly cluster: Cluster
  readonly signer: Signer
  readonly names: PolicySettings
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface IssueRequest {
  readonly source: CertificateSource
  /** Verified by the apiserver: from a reviewed token, or from a request of a kubelet. */
  readonly identity: Identity
  /** Called with the pod once it is known to run: verifying a signature is the most expensive check. @throws Refusal */
  readonly readCsr: (pod: unknown) => ReadCsr
  /** From notBefore to notAfter, within all limits. */
  readonly lifetimeSeconds: number
}

export interface Issued extends Signed {
  readonly uri: string
  readonly dnsNames: readonly string[]
}

/** Checks that the pod runs and that its names are permitted, then signs; the same for both sources. @throws Refusal */
export async function issue(request: IssueRequest, deps: IssueDeps): Promise<Issued> {
  const { identity, readCsr, lifetimeSeconds } = request
  const [pod, namespace] = await Promise.all([
    deps.cluster.pod(identity),
    deps.cluster.namespace(identity.namespace),
  ])
  requireRunning(identity, pod)
  const { key, dnsNames, uris } = readCsr(pod)
  const uri = requirePermitted({ identity, dnsNames, uris }, namespace, deps.names)
  const nowMs = deps.clock.now()
  const signed = await deps.signer.issue({ key, dnsNames, uri, nowMs, lifetimeSeconds })
  return { ...signed, uri, dnsNames }
}

/** Logs one line for each certificate: its owner, its names and its expiry. */
export function recordIssued(request: IssueRequest, issued: Issued, deps: IssueDeps): void {
  deps.metrics.count(request.source, 'issued', '')
  deps.log.info(
    {
      ...fieldsOf(request.source, request.identity),
      event: 'issued',
      serial: issued.serial,
      identity: issued.uri,
      dnsNames: issued.dnsNames.join(','),
      notAfter: new Date(issued.notAfterMs).toISOString(),
    },
    'certificate issued',
  )
}

/** Logs one line for each refusal. An unexpected error is a fault, whose message is only logged. */
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
    ...fieldsOf(source, identity),
    event: 'refused',
    reason,
    error: messageOf(error),
    ...(isRefusal ? {} : { code: codeOf(error) }),
  }
  if (isRefusal) deps.log.warn(fields, 'certificate refused')
  else deps.log.error(fields, 'fault while issuing')
}

function fieldsOf(
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
