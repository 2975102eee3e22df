import { isDeepStrictEqual } from 'node:util'
import { AUTHORITY, CERTIFICATE_SECONDS } from '../../contract/certificates.ts'
import { fillInPod } from '../../contract/dns-names.ts'
import { CERTIFICATE_DNS_NAMES } from '../../contract/names.ts'
import { dnsNames as dnsNamesKind } from '../../contract/values.ts'
import { fieldsOf } from '../../shared/base/json.ts'
import type { KubeObject } from '../../shared/server/kube/kube-client.ts'
import { readCsr, type ReadCsr } from '../csr.ts'
import type { Identity } from '../identity/identity.ts'
import { Refusal, type Reason } from '../refusal.ts'

interface Spec {
  readonly podName?: unknown
  readonly podUID?: unknown
  readonly serviceAccountName?: unknown
  readonly nodeName?: unknown
  readonly maxExpirationSeconds?: unknown
  readonly stubPKCS10Request?: unknown
  readonly unverifiedUserAnnotations?: Readonly<Record<string, string>>
}

/** Source: PodCertificateRequest of the Kubernetes API. */
const DECISIONS: readonly unknown[] = ['Issued', 'Denied', 'Failed']

/** True once a signer has decided. What has not the form of a condition decides nothing. */
export function isDecided(request: KubeObject): boolean {
  const { conditions } = fieldsOf(request['status'])
  return (
    Array.isArray(conditions) && conditions.some((one) => DECISIONS.includes(fieldsOf(one)['type']))
  )
}

/**
 * The pod that the request is for. The apiserver compares it with the pod only if a kubelet created the request
 * (admission plugin NodeRestriction). Anyone else who may create requests can write anything, so the authority
 * compares all of it with the pod, and the guard accepts requests only from kubelets.
 */
export function identityOf(request: KubeObject): Identity {
  const { podName, podUID, serviceAccountName, nodeName } = specOf(request)
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  return {
    namespace: request.metadata.namespace ?? '',
    serviceAccount: text(serviceAccountName),
    podName: text(podName),
    podUid: text(podUID),
    nodeName: text(nodeName),
  }
}

/**
 * The key is from the kubelet's CSR, which has no names; the names are from the annotation.
 *
 * @throws Refusal
 */
export function csrOf(request: KubeObject): ReadCsr {
  const { stubPKCS10Request, unverifiedUserAnnotations = {} } = specOf(request)
  const unknown = Object.keys(unverifiedUserAnnotations).find(
    (key) => key !== CERTIFICATE_DNS_NAMES,
  )
  if (unknown !== undefined) {
    throw new Refusal(
      'request-invalid',
      `unknown annotation ${unknown}; allowed: ${CERTIFICATE_DNS_NAMES}`,
    )
  }
  const text = unverifiedUserAnnotations[CERTIFICATE_DNS_NAMES] ?? ''
  const dnsNames = dnsNamesKind.parse(text)
  if (dnsNames === undefined) {
    throw new Refusal(
      'request-invalid',
      `${CERTIFICATE_DNS_NAMES} is ${JSON.stringify(text.slice(0, 200))}; allowed: ${dnsNamesKind.allowed}`,
    )
  }
  if (typeof stubPKCS10Request !== 'string') {
    throw new Refusal('csr-invalid', 'the request has no stubPKCS10Request')
  }
  const csr = readCsr(Buffer.from(stubPKCS10Request, 'base64'))
  const { podName } = identityOf(request)
  const filled = dnsNames.map((name) => fillInPod(name, podName))
  return { ...csr, dnsNames: [...new Set([...csr.dnsNames, ...filled])] }
}

interface PodCertificateSource {
  readonly signerName?: unknown
  readonly userAnnotations?: Readonly<Record<string, string>>
}

/**
 * Requires that the pod has a volume with the signer of nocreds and with these annotations.
 *
 * @throws Refusal
 */
export function requireRequestedByPod(request: KubeObject, pod: unknown): void {
  const { spec = {} } = (pod ?? {}) as { readonly spec?: PodVolumes }
  const { unverifiedUserAnnotations = {} } = specOf(request)
  const isRequested = (spec.volumes ?? [])
    .flatMap(({ projected }) => projected?.sources ?? [])
    .some(
      ({ podCertificate }) =>
        podCertificate?.signerName === AUTHORITY.signerName &&
        isDeepStrictEqual(podCertificate.userAnnotations ?? {}, unverifiedUserAnnotations),
    )
  if (isRequested) return
  throw new Refusal(
    'request-invalid',
    `no volume of the pod requests a certificate of ${AUTHORITY.signerName} with the annotations of the request`,
  )
}

interface PodVolumes {
  readonly volumes?: readonly {
    readonly projected?: {
      readonly sources?: readonly { readonly podCertificate?: PodCertificateSource }[]
    }
  }[]
}

/**
 * At most what the kubelet requests and what the authority issues, but at least the hour that the apiserver
 * requires.
 */
export function lifetimeOf(request: KubeObject, maxLifetimeSeconds: number): number {
  const { maxExpirationSeconds } = specOf(request)
  const requested =
    typeof maxExpirationSeconds === 'number' ? maxExpirationSeconds : CERTIFICATE_SECONDS.max
  return Math.max(Math.min(requested, maxLifetimeSeconds), CERTIFICATE_SECONDS.min)
}

function specOf(request: KubeObject): Spec {
  return request['spec'] ?? {}
}

export interface IssuedParts {
  readonly chainPem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** The request with a certificate. */
export function withCertificate(
  request: KubeObject,
  { chainPem, notBeforeMs, notAfterMs }: IssuedParts,
  nowMs: number,
): KubeObject {
  const status = {
    conditions: [condition('Issued', 'Issued', 'signed by nocreds', nowMs)],
    certificateChain: chainPem,
    notBefore: seconds(notBeforeMs),
    beginRefreshAt: seconds((notBeforeMs + notAfterMs) / 2),
    notAfter: seconds(notAfterMs),
  }
  return { ...request, status }
}

/** The request, permanently denied; the kubelet shows the message in the pod's events. */
export function withDenial(
  request: KubeObject,
  reason: Reason,
  message: string,
  nowMs: number,
): KubeObject {
  const status = { conditions: [condition('Denied', inCamelCase(reason), message, nowMs)] }
  return { ...request, status }
}

/** Source: Condition of the Kubernetes API, whose reason is in CamelCase. */
function condition(type: string, reason: string, message: string, nowMs: number): object {
  const lastTransitionTime = seconds(nowMs)
  return { type, status: 'True', reason, message: message.slice(0, 32_768), lastTransitionTime }
}

function inCamelCase(reason: string): string {
  return reason.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** In the format of metav1.Time: without fractions. */
function seconds(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}
