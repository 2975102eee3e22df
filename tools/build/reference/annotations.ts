import { ANNOTATIONS } from '../../../contract/annotations.ts'
import { DEFAULT_CERTIFICATE_SECONDS } from '../../../contract/certificates.ts'
import { DEFAULT_PERMITTED_DELIVERIES } from '../../../contract/delivery.ts'
import { INJECTION_LABEL, PREFIX } from '../../../contract/names.ts'
import { DEFAULT_SESSION_NAME } from '../../../contract/session-name.ts'
import type { ValueKind } from '../../../contract/values.ts'
import { code, header, section, table } from './markdown.ts'

type Key = {
  [Kind in keyof typeof ANNOTATIONS]: keyof (typeof ANNOTATIONS)[Kind]
}[keyof typeof ANNOTATIONS]

interface Text {
  readonly what: string
  readonly default: string
  /** Instead of what the kind of value says, which for an expression is nothing. */
  readonly value?: string
}

const EXPRESSION = 'RE2 expression, at most 4,096 characters; it must match the whole text'

/** What the code does not say; adding an annotation makes the compiler ask for its row. */
const TEXTS: Readonly<Record<Key, Text>> = {
  'permitted-roles': {
    what: 'role ARNs that pods of the namespace may have',
    value: EXPRESSION,
    default: 'no role',
  },
  'default-role-arn': {
    what: 'role of the pods of the namespace that name none, neither the Pod nor its ServiceAccount. It must be permitted, too. A pod that cannot have it is admitted without it, with a warning',
    default: 'none',
  },
  'permitted-dns-names': {
    what: 'names that certificates may have, besides those of the namespace\'s own Services and pods. `""`: only those. If it is set, the namespace is enabled',
    value: EXPRESSION,
    default: 'no other name',
  },
  'permitted-deliveries': {
    what: 'deliveries that pods may ask for',
    default: code(DEFAULT_PERMITTED_DELIVERIES.join(',')),
  },
  'permitted-session-names': {
    what: 'session name templates that are permitted, besides `{namespace}` and those that begin with `{namespace}.`',
    value: EXPRESSION,
    default: 'no other template',
  },
  'role-arn': { what: 'IAM role of the pod', default: 'no role' },
  'container-roles': {
    what: 'roles of single containers, see [roles](../roles.md); the others have `role-arn`, or no role',
    default: 'none',
  },
  delivery: {
    what: 'how the app gets the credentials, see [deliveries](../deliveries.md)',
    default: '`--default-delivery`',
  },
  'session-duration': {
    what: 'duration of the credentials; not above the maximum session duration of the role',
    default: code('3600'),
  },
  'session-name': {
    what: 'session name in CloudTrail. Characters that STS refuses become `-`; the result is cut to 64',
    default: code(DEFAULT_SESSION_NAME),
  },
  'permitted-session-tags': {
    what: 'session tags that pods may ask for: the expression is matched against each whole `key=value`, in which `{pod}` is not filled in',
    value: EXPRESSION,
    default: 'no tag',
  },
  'default-session-tags': {
    what: '`"false"`: sessions of target roles do not get the tags that nocreds sets, see [roles](../roles.md)',
    default: code('"true"'),
  },
  'target-role-arn': {
    what: 'second role, which is assumed with the credentials of the first one and is that of the app',
    default: 'none',
  },
  'external-id': {
    what: 'external ID that the trust policy of the target role asks for',
    default: 'none',
  },
  'session-tags': { what: 'tags of the session of the target role', default: 'none' },
  'session-policy': { what: 'policy that narrows what the app may do', default: 'none' },
  'session-policy-arns': {
    what: 'managed policies that narrow what the app may do',
    default: 'none',
  },
  audience: { what: 'audience of the token for STS', default: '`--audience`' },
  'token-expiration': { what: 'lifetime of the token for STS', default: code('3600') },
  region: {
    what: "AWS region, in the role's partition",
    default: "`--default-region` in its own partition, else a region of the role's partition",
  },
  certificate: { what: '`"true"`: the pod gets a certificate', default: code('"false"') },
  'certificate-duration': {
    what: 'lifetime of the certificate',
    default: code(String(DEFAULT_CERTIFICATE_SECONDS)),
  },
  'certificate-dns-names': {
    what: 'DNS names of the certificate; `{pod}` becomes the name of the pod',
    default: 'none',
  },
  exchanger: {
    what: 'what serves the pod: a container in it, or the [driver](../driver.md) of its node. On a Namespace: for its pods whose Pod and ServiceAccount do not say',
    default: '`--default-exchanger`',
  },
  'exchanger-resources': {
    what: 'requests and limits of the sidecar; what is not named is as the flag says. See [resources](../clusters.md#resources-of-the-sidecar)',
    default: '`--exchanger-resources`',
  },
  inject: { what: '`"false"`: this pod gets nothing', default: code('"true"') },
  'skip-containers': { what: 'containers that get nothing', default: 'none' },
  'injected-role': {
    what: 'written by the webhook: the role that was admitted. A value that the author of the pod writes is replaced or removed',
    value: 'the role ARN',
    default: 'not set',
  },
  'injected-roles': {
    what: 'written by the webhook on a pod with more than one role: all roles that were admitted, that of `injected-role` first. A value that the author of the pod writes is replaced or removed',
    value: 'role ARNs separated by blanks',
    default: 'not set',
  },
}

export function annotationsPage(): string {
  const kinds = Object.keys(ANNOTATIONS) as (keyof typeof ANNOTATIONS)[]
  const keys = [...new Set(kinds.flatMap((kind) => Object.keys(ANNOTATIONS[kind])))] as Key[]
  const rows = keys.map((key) => {
    const on = kinds.filter((kind) => Object.hasOwn(ANNOTATIONS[kind], key))
    const tables = ANNOTATIONS as Readonly<
      Record<string, Readonly<Record<string, ValueKind<unknown>>>>
    >
    const allowed = tables[on[0] ?? '']?.[key]?.allowed ?? ''
    const { what, value = allowed, default: standard } = TEXTS[key]
    return [code(PREFIX + key), on.join(', '), what, value, standard]
  })
  return [
    header(
      'Annotations and labels',
      `All keys begin with \`${PREFIX}\`. If Pod and ServiceAccount both have an annotation, the Pod's counts; if neither has it, the webhook's flag counts. An unknown key or a value that is not allowed denies the object; the message names the key, the value and what is allowed.`,
    ),
    section('Annotations', table(['annotation', 'on', 'what', 'allowed', 'default'], rows)),
    section(
      'Expressions',
      'The expressions are [RE2](https://github.com/google/re2/wiki/Syntax). White space around one does not count. A new one that matches the empty text, such as `.*`, is refused: write `.+` for everything. Absent or empty permits nothing.',
    ),
    section(
      'Labels',
      table(
        ['label', 'on', 'what'],
        [
          [
            code(`${INJECTION_LABEL.key}: ${INJECTION_LABEL.value}`),
            'Namespace',
            'written by the webhook if `permitted-roles` is not empty or `permitted-dns-names` is set. Only namespaces with this label reach the webhook for Pods',
          ],
        ],
      ),
      `The webhook also writes \`${PREFIX}delivery\` on a pod that gets \`web-identity\`, for the guard.`,
    ),
  ].join('')
}
