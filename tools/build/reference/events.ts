import { AUTHORITY } from '../../../contract/certificates.ts'
import type { CertificateConfig, CredentialsConfig } from '../../../contract/exchanger-env.ts'
import { CERTIFICATE_IN_POD } from '../../../contract/exchanger-env.ts'
import { DEFAULT_AUDIENCE } from '../../../contract/names.ts'
import { HINTS as OF_CERTIFICATES } from '../../../exchanger/certificate/hints.ts'
import { HINTS as OF_ROUTE } from '../../../exchanger/credentials/route-hints.ts'
import { HINTS as OF_TARGETS } from '../../../exchanger/credentials/steps/assume-role.ts'
import { HINTS as OF_TOKENS } from '../../../exchanger/credentials/steps/web-identity.ts'
import { CERTIFICATE, CREDENTIALS } from '../../../exchanger/sidecar/renewable.ts'
import { CONFIG as SAMPLE } from '../../../test/fakes/exchanger-samples.ts'
import { code, header, section, table } from './markdown.ts'

/** An example, by which hints are rendered as a pod shows them. */
const CONFIG: CredentialsConfig = {
  ...SAMPLE,
  roleArn: 'arn:aws:iam::111122223333:role/team-a/app',
  stsProxy: 'http://proxy.example.com:3128',
}
/** The same with all that a second role may have. */
const TARGETED = {
  ...CONFIG,
  targetRoleArn: 'arn:aws:iam::444455556666:role/data/app',
  externalId: 'nocreds-team-a',
  sessionTags: [{ key: 'team', value: 'a' }],
  sessionPolicy: '{}',
}
const CLAIMS = {
  issuer: 'https://oidc.example.com/my-cluster',
  subject: 'system:serviceaccount:team-a:app',
  audiences: [DEFAULT_AUDIENCE],
  issuedAtMs: undefined,
  expiresAtMs: undefined,
}
const CERTIFICATE_CONFIG: CertificateConfig = {
  namespace: SAMPLE.namespace,
  serviceAccount: SAMPLE.serviceAccount,
  pod: SAMPLE.pod,
  ...CERTIFICATE_IN_POD,
  authorityUrl: `https://${AUTHORITY.host}`,
  durationSeconds: 3600,
  dnsNames: undefined,
}

/** Events of Kubernetes that carry a message of nocreds. */
const EVENTS = [
  [
    '`FailedCreate`',
    'ReplicaSet, StatefulSet, DaemonSet, Job',
    'the denial of webhook or guard; see [reasons](reasons.md)',
  ],
  [
    '`FailedPostStartHook`',
    'Pod',
    'why the sidecar has no credentials or no certificate, after 45 s at the latest; see below',
  ],
  [
    '`FailedMount`',
    'Pod',
    'why the driver has no credentials or no certificate for the pod; see [reasons](reasons.md#refused-by-the-driver)',
  ],
  [
    '`Unhealthy`',
    'Pod',
    '`no credentials yet` or the like: the startup probe of the sidecar. Normal while the pod starts',
  ],
]

type Phrases = typeof CREDENTIALS.phrases
const LINES: Readonly<Record<keyof Phrases, readonly [level: string, what: string]>> = {
  published: ['info', 'the app has them'],
  failed: ['warn', 'one attempt failed; `retryInMs` says when the next one is'],
  none: ['error', 'no attempt succeeded in the first 30 s, or it is certain that none will'],
  withdrawn: ['error', 'they expired before new ones arrived; the app gets none'],
  unremovable: ['error', 'the file system refuses to remove them; `code` says why'],
  expired: ['', 'in a message: they had expired when they arrived; look at the clock of the node'],
  unwritten: ['', 'in a message: the file system refuses to write them'],
}

export function eventsPage(): string {
  const ofSts = Object.entries({ ...OF_TOKENS, ...OF_ROUTE })
    .map(([name, hint]) => [code(name), hint(CONFIG, CLAIMS) ?? ''])
    .toSorted(([one = ''], [other = '']) => one.localeCompare(other))
  const ofTargets = Object.entries(OF_TARGETS).map(([name, hint]) => [
    code(name),
    hint(TARGETED) ?? '',
  ])
  const ofCertificates = Object.entries(OF_CERTIFICATES).map(([name, hint]) => [
    code(name),
    hint(CERTIFICATE_CONFIG),
  ])
  const lines = (Object.keys(LINES) as (keyof Phrases)[]).map((key) => [
    ...[CREDENTIALS, CERTIFICATE].map(({ phrases }) => code(phrases[key])),
    ...LINES[key],
  ])
  return [
    header(
      'Events and messages',
      'nocreds writes no Events itself. Kubernetes writes them, and they carry the messages of nocreds.',
    ),
    section('Events', table(['reason', 'on', 'what it says'], EVENTS)),
    section(
      'Messages of the sidecar',
      'If a sidecar gives up, its message is `CODE: text. Hint: …`. `kubectl describe pod` shows it under `nocreds-exchanger`, `Last State`, `Message`. The code comes from STS (`AccessDenied`), from the authority (`name-not-permitted`, see [reasons](reasons.md#refused-by-the-authority)), from Node (`ECONNREFUSED`), or from the sidecar itself. These codes have a hint, here for an example pod:',
      '### Credentials',
      table(['code', 'hint'], ofSts),
      '### Credentials of a target role',
      'From the second request, AssumeRole, by which `nocreds.dev/target-role-arn` is assumed. Its messages name both roles: `STS refused TARGET, assumed from ROLE, for ServiceAccount …`.',
      table(['code', 'hint'], ofTargets),
      '### Certificates',
      table(['code', 'hint'], ofCertificates),
    ),
    section(
      'Log lines of the sidecar',
      'The log is JSON. `msg` is one of these sentences:',
      table(['credentials', 'certificate', 'level', 'what it means'], lines),
    ),
  ].join('')
}
