import { REFUSALS, type Reason as Refused } from '../../../authority/refusal.ts'
import { CERTIFICATE_LIMITS, CERTIFICATE_SECONDS } from '../../../contract/certificates.ts'
import { SECRETS } from '../../../contract/names.ts'
import type { REASONS, Reason } from '../../../webhook/admit/verdict.ts'
import { driverReasons } from './driver-reasons.ts'
import { code, header, section, table } from './markdown.ts'

interface Text {
  readonly means: string
  readonly fix: string
}

type Of<Outcome extends (typeof REASONS)[Reason]> = {
  [Name in Reason]: (typeof REASONS)[Name] extends Outcome ? Name : never
}[Reason]

const ADMITTED: Readonly<Record<Of<'admitted'>, string>> = {
  injected: 'the pod got what it asked for',
  'already-injected': 'a second call for a pod that has everything',
  'opted-out': 'the pod has `nocreds.dev/inject: "false"`',
  'mirror-pod': 'a static pod, which the kubelet has created already',
  'no-role': 'neither Pod nor ServiceAccount asks for a role or a certificate',
  'operation-not-handled': 'the webhook changes nothing at this operation',
  'label-added': 'the Namespace is enabled now',
  'label-removed': 'the Namespace is not enabled any more',
  'up-to-date': 'the label of the Namespace needs no change',
}

const DENIED: Readonly<Record<Of<'denied'>, Text>> = {
  'role-not-permitted': {
    means:
      "the namespace's `permitted-roles` does not match the whole ARN of the role, or of the target role",
    fix: 'extend the expression, or use a role that it permits',
  },
  'delivery-not-permitted': {
    means:
      "the namespace's `permitted-deliveries` does not contain that delivery; without the annotation it does not contain `web-identity`",
    fix: 'add it to the annotation, or use `process` or `endpoint`',
  },
  'session-name-not-permitted': {
    means:
      "`session-name` is neither `{namespace}` nor begins with `{namespace}.`, and the namespace's `permitted-session-names` does not match the whole template",
    fix: 'extend the expression, or begin the name with `{namespace}.`',
  },
  'session-tag-not-permitted': {
    means:
      "the namespace's `permitted-session-tags` does not match a whole tag of `session-tags`, in which `{namespace}` and `{serviceaccount}` are filled in",
    fix: 'extend the expression, or remove the tag',
  },
  'name-not-permitted': {
    means:
      "a name of `certificate-dns-names` does not belong to the namespace or the pod and is not matched by the namespace's `permitted-dns-names`; or it is reserved",
    fix: 'extend the expression, or use a name that it permits',
  },
  'invalid-annotation': {
    means: 'an unknown key, or a value that is not allowed',
    fix: 'the message says what is allowed; see [annotations](annotations.md)',
  },
  'invalid-expression': {
    means: 'an expression of a Namespace is not RE2, is too long, or matches the empty text',
    fix: 'fix the expression; RE2 has no look-around and no back references; `.+` matches everything',
  },
  'service-account-not-found': {
    means: "the pod's ServiceAccount does not exist",
    fix: 'create it',
  },
  'endpoint-with-host-network': {
    means: "with `hostNetwork` the loopback of the pod is the node's",
    fix: '`nocreds.dev/delivery: process`',
  },
  'windows-pod': {
    means:
      'nocreds serves Linux pods; this one can run on Windows only: `os`, `nodeSelector`, required affinity or `hostProcess` say so',
    fix: 'remove role and certificate, or set `nocreds.dev/inject: "false"`',
  },
  'session-name-too-long': {
    means:
      'with `web-identity`, the session name with a generated pod name would be longer than 64 characters',
    fix: 'shorten the template, or use another delivery',
  },
  'session-tag-too-long': {
    means:
      'with its placeholders filled in, a value of `session-tags` would be longer than 256 characters, or all tags together longer than 4,096',
    fix: 'shorten the tag',
  },
  'foreign-volume': {
    means: `a mount uses a volume of nocreds, or a path at or below \`${SECRETS}\`, however it is spelt; or a volume has a name of nocreds that this pod does not get, or uses the CSI driver of nocreds`,
    fix: 'remove or rename it, or mount it elsewhere',
  },
  'foreign-container': {
    means:
      'a container has the name `nocreds-exchanger`, but is not an init container, or exists twice, or the pod gets no sidecar',
    fix: 'remove or rename it; the webhook adds the sidecar',
  },
  'reserved-name': {
    means: 'a pod that is opted out, or requests nothing, has a container or volume of nocreds',
    fix: 'remove it. To restore a pod from a backup, first restore the annotations of its Namespace and ServiceAccount',
  },
  'review-too-large': {
    means:
      'the object has more than 8 MiB or 400,000 values as the apiserver sends it, with `managedFields`',
    fix: 'make it smaller, for example by moving long scripts into a ConfigMap',
  },
  'invalid-object': {
    means: 'the review contains no valid object',
    fix: 'happens only if somebody calls the webhook by hand',
  },
}

const RETRY: Readonly<Record<Of<'retry'>, Text>> = {
  'apiserver-unreachable': {
    means: 'the webhook needs the apiserver for this decision and cannot reach it',
    fix: "controllers retry automatically; see the webhook's log",
  },
  'deadline-exceeded': {
    means: 'there was no decision in time',
    fix: "controllers retry automatically; see the webhook's log",
  },
  'internal-error': {
    means: 'a fault of the webhook',
    fix: "controllers retry automatically; see the webhook's log and report it",
  },
}

const AUTHORITY: Readonly<Record<Refused, Text>> = {
  'request-invalid': {
    means:
      'malformed JSON, an unknown annotation, or a PodCertificateRequest for which no volume of the pod asks',
    fix: 'the message says what is allowed',
  },
  'csr-invalid': {
    means:
      "not a usable PKCS #10 request: broken, a weak or unknown key, a CA, an IP or email address, or another workload's URI",
    fix: 'the message says which',
  },
  'duration-out-of-bounds': {
    means: `not ${CERTIFICATE_SECONDS.min} to ${CERTIFICATE_SECONDS.max} seconds`,
    fix: 'use another duration',
  },
  'token-invalid': {
    means: 'the token has expired, is for another audience or cluster, or is not bound to a pod',
    fix: 'read the token of the volume again',
  },
  'token-lifetime-too-long': {
    means: 'the token is valid for more than an hour, so no kubelet requested it',
    fix: 'use the token of the volume',
  },
  'pod-gone': {
    means: 'the pod is deleted, has finished, or is another one of the same name',
    fix: 'nothing: it needs no certificate any more',
  },
  'pod-not-scheduled': {
    means: 'the pod is on no node',
    fix: 'ask from within the pod, when it runs',
  },
  'node-mismatch': {
    means: "the request names another node than the pod's",
    fix: 'only kubelets write PodCertificateRequests',
  },
  'namespace-not-enabled': {
    means: 'the namespace is not enabled',
    fix: 'annotate it with `permitted-dns-names`, which may be empty',
  },
  'name-not-permitted': {
    means: 'a DNS name does not belong to the namespace and is not permitted',
    fix: 'extend `permitted-dns-names`, or ask for another name',
  },
  'too-large': {
    means: `more than ${CERTIFICATE_LIMITS.requestBytes / 1024} KiB`,
    fix: 'a CSR with fewer names or a smaller key',
  },
  'not-ready': {
    means: 'no CA yet, or too many requests at once',
    fix: "ask again; see the authority's log",
  },
  'apiserver-unreachable': { means: 'the apiserver does not answer', fix: 'ask again' },
}

const rowsOf = (texts: Readonly<Record<string, Text>>): string[][] =>
  Object.entries(texts).map(([reason, { means, fix }]) => [code(reason), means, fix])

export function reasonsPage(): string {
  return [
    header(
      'Reasons',
      'Why an object was admitted or denied, why a certificate was refused, and why a pod that the driver serves does not start. The reason is the last word of the message, the label `reason` of the metrics, and a field of the log.',
    ),
    section(
      'Denied by the webhook',
      'The object must change.',
      table(['reason', 'what it means', 'fix'], rowsOf(DENIED)),
      'The same request may succeed in a moment.',
      table(['reason', 'what it means', 'fix'], rowsOf(RETRY)),
    ),
    section(
      'Admitted by the webhook',
      table(
        ['reason', 'what it means'],
        Object.entries(ADMITTED).map(([reason, means]) => [code(reason), means]),
      ),
    ),
    section(
      'Refused by the authority',
      'The reason is the `code` of the answer, too. What is not in this table is a fault; its reason in the metric is `fault`.',
      table(
        ['code', 'HTTP status', 'what it means', 'fix'],
        Object.entries(AUTHORITY).map(([reason, { means, fix }]) => [
          code(reason),
          String(REFUSALS[reason as Refused]),
          means,
          fix,
        ]),
      ),
    ),
    driverReasons(),
  ].join('')
}
