import { parseArgs } from 'node:util'
import { AUTHORITY } from '../contract/certificates.ts'
import { DEFAULT_AUDIENCE, WEBHOOK } from '../contract/names.ts'
import * as values from '../contract/values.ts'
import type { ValueKind } from '../contract/values.ts'
import { messageOf, UsageError } from '../platform/errors.ts'
import { LOG_LEVELS } from '../platform/log.ts'

interface Flag<T> {
  readonly kind: ValueKind<T>
  /** Undefined: the flag has no default, and its value may be undefined. */
  readonly default?: T
  readonly required?: true
  readonly help: string
}

const text: ValueKind<string> = {
  allowed: 'non-empty text',
  parse: (value) => (value.trim() === '' ? undefined : value),
  format: (value) => value,
}

const port: ValueKind<number> = {
  allowed: 'a port from 0 (any free one) to 65535',
  parse: (value) =>
    /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined,
  format: String,
}

const DAY_SECONDS = 86_400

/** Every flag of the webhook; --help and the README's table are made of it. */
export const FLAGS = {
  'exchanger-image': flag(text, { required: true, help: 'image of the injected sidecar' }),
  tls: flag(values.oneOf('self-managed', 'files'), {
    default: 'self-managed',
    help: 'own CA and certificate in a Secret, or files that are watched',
  }),
  'tls-cert': flag(text, { help: 'certificate chain in PEM, with --tls files' }),
  'tls-key': flag(text, { help: 'private key in PEM, with --tls files' }),
  'client-ca': flag(text, {
    help: 'CA certificates in PEM: only callers with a client certificate of one of them are let in',
  }),
  'tls-secret': flag(values.objectName, {
    default: 'nocreds-webhook-tls',
    help: 'Secret that the replicas share, with --tls self-managed',
  }),
  'leaf-lifetime-seconds': flag(values.seconds(60, 90 * DAY_SECONDS), {
    default: 7 * DAY_SECONDS,
    help: 'life of the serving certificate, with --tls self-managed',
  }),
  'ca-lifetime-seconds': flag(values.seconds(600, 3650 * DAY_SECONDS), {
    default: 365 * DAY_SECONDS,
    help: 'life of the CA, with --tls self-managed',
  }),
  namespace: flag(values.objectName, {
    default: 'nocreds-system',
    help: 'namespace of the webhook itself',
  }),
  service: flag(values.objectName, {
    default: 'nocreds-webhook',
    help: 'Service by which the apiserver calls it',
  }),
  'webhook-configuration': flag(values.objectName, {
    default: 'nocreds',
    help: 'MutatingWebhookConfiguration whose caBundle is kept in step',
  }),
  objects: flag(text, {
    help: 'standalone: Namespaces and ServiceAccounts from YAML files instead of an apiserver',
  }),
  port: flag(port, { default: WEBHOOK.port, help: 'port of the admission server (TLS)' }),
  'metrics-port': flag(port, {
    default: WEBHOOK.metricsPort,
    help: 'port of metrics and probes (plain HTTP)',
  }),
  'default-region': flag(values.region, { help: 'region where no annotation names one' }),
  'default-delivery': flag(values.delivery, {
    default: 'process',
    help: 'delivery where no annotation names one',
  }),
  audience: flag(values.audience, {
    default: DEFAULT_AUDIENCE,
    help: 'token audience where no annotation names one',
  }),
  'sts-endpoint': flag(values.httpUrl, {
    help: 'STS to use instead of the regional one of AWS (VPC endpoint, other STS)',
  }),
  'certificate-door': flag(values.oneOf('auto', 'authority', 'pod-certificate'), {
    default: 'auto',
    help: "how certificates come: by nocreds' authority, or by the kubelet (PodCertificateRequest); auto: by the kubelet where the apiserver serves that",
  }),
  'authority-url': flag(values.httpUrl, {
    default: `https://${AUTHORITY.host}`,
    help: 'authority that sidecars ask for certificates',
  }),
  'log-level': flag(values.oneOf(...LOG_LEVELS), {
    default: 'info',
    help: 'least severe level that is logged',
  }),
} as const

function flag<T, const Rest extends Omit<Flag<NoInfer<T>>, 'kind'>>(
  kind: ValueKind<T>,
  rest: Rest,
): { readonly kind: ValueKind<T> } & Rest {
  return { kind, ...rest }
}

type Flags = typeof FLAGS
type ValueOf<F> = F extends { readonly kind: ValueKind<infer T> } ? T : never

/** The flags, read: those with a default or required are always there. */
export type WebhookConfig = {
  readonly [Name in keyof Flags]: Flags[Name] extends { required: true } | { default: unknown }
    ? ValueOf<Flags[Name]>
    : ValueOf<Flags[Name]> | undefined
}

/**
 * Reads the command line (without node and program).
 *
 * @throws UsageError that names the flag, its value and what is allowed
 */
export function parseFlags(argv: readonly string[]): WebhookConfig {
  const given = splitFlags(argv)
  const config: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries<Flag<unknown>>(FLAGS)) {
    config[name] = readFlag(name, spec, given[name])
  }
  const read = config as WebhookConfig
  refuseHalfSetGroups(read)
  return read
}

function splitFlags(argv: readonly string[]): Readonly<Record<string, unknown>> {
  const options = Object.fromEntries(
    Object.keys(FLAGS).map((name) => [name, { type: 'string' as const }]),
  )
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    const names = Object.keys(FLAGS).map((name) => `--${name}`)
    const [what = ''] = messageOf(error).split('. ', 1)
    throw new UsageError(`${what}; allowed flags: ${names.join(', ')}`)
  }
}

function readFlag(name: string, spec: Flag<unknown>, given: unknown): unknown {
  // A manifest that fills a flag from a ConfigMap gives an empty one where there is nothing to say.
  if (typeof given !== 'string' || (given === '' && spec.required !== true)) {
    if (spec.required === true) {
      throw new UsageError(`--${name} is missing; allowed: ${spec.kind.allowed} (${spec.help})`)
    }
    return spec.default
  }
  const value = spec.kind.parse(given)
  if (value === undefined) {
    throw new UsageError(`--${name} is ${JSON.stringify(given)}; allowed: ${spec.kind.allowed}`)
  }
  return value
}

/** Flags that make sense only together. */
function refuseHalfSetGroups(config: WebhookConfig): void {
  const files = config.tls === 'files'
  for (const name of ['tls-cert', 'tls-key'] as const) {
    if (files && config[name] === undefined) {
      throw new UsageError(`--tls files needs --${name}, which is missing`)
    }
    if (!files && config[name] !== undefined) {
      throw new UsageError(`--${name} is only allowed with --tls files, but --tls is ${config.tls}`)
    }
  }
  if (config.objects !== undefined && !files) {
    throw new UsageError(
      '--objects needs --tls files: without an apiserver there is no Secret for a self-managed certificate',
    )
  }
}

/** The text of --help. */
export function usage(): string {
  const lines = Object.entries<Flag<unknown>>(FLAGS).map(([name, spec]) => {
    const { kind, help, required, default: standard } = spec
    const absent = required === true ? 'required' : 'no default'
    const standing = standard === undefined ? absent : `default ${kind.format(standard)}`
    return `  --${name}\n      ${help}\n      ${kind.allowed}; ${standing}`
  })
  return `nocreds webhook: the admission server\n\nFlags:\n${lines.join('\n')}\n`
}
