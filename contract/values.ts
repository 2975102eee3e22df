import { CERTIFICATE_SECONDS } from './certificates.ts'
import { isDnsName, isDnsNameTemplate, MAX_DNS_NAMES } from './dns-names.ts'
import { parseRoleArn, ROLE_ARN_ALLOWED } from './role-arn.ts'
import { isSessionNameTemplate, sanitiseTemplate, SESSION_NAME_ALLOWED } from './session-name.ts'

/**
 * A kind of value that travels as text: in an annotation, in an env variable, as a flag.
 * `parse` returns undefined for a text out of bounds; `allowed` says in words what is allowed.
 * For every value in bounds, `parse(format(value))` is that value.
 */
export interface ValueKind<T> {
  readonly allowed: string
  parse(text: string): T | undefined
  format(value: T): string
  /** Whether a text that is out of bounds may hold a password or a key, so that no message quotes it. */
  isSecret?(text: string): boolean
}

/** Texts that are taken as they are. */
// Kinds that a program does not use stay out of its bundle.
// @__NO_SIDE_EFFECTS__
export function text(
  allowed: string,
  isAllowed: (text: string) => boolean,
  rest: Pick<ValueKind<string>, 'isSecret'> = {},
): ValueKind<string> {
  return {
    allowed,
    parse: (value) => (isAllowed(value) ? value : undefined),
    format: (value) => value,
    ...rest,
  }
}

/** How a message shows a text that is out of bounds. */
export function quoted({ isSecret }: Pick<ValueKind<unknown>, 'isSecret'>, text: string): string {
  return isSecret?.(text) === true
    ? 'not shown, as it may hold a password or a key'
    : JSON.stringify(text)
}

// @__NO_SIDE_EFFECTS__
export function oneOf<const T extends string>(...values: readonly T[]): ValueKind<T> {
  return {
    allowed: `one of ${values.join(', ')}`,
    parse: (value) => values.find((one) => one === value),
    format: (value) => value,
  }
}

/** Whole seconds in plain decimal digits, both bounds inclusive. */
// @__NO_SIDE_EFFECTS__
export function seconds(min: number, max: number): ValueKind<number> {
  return {
    allowed: `whole seconds from ${min} to ${max}`,
    parse(value) {
      if (!/^[1-9][0-9]{0,8}$/.test(value)) return undefined
      const number = Number(value)
      return number >= min && number <= max ? number : undefined
    },
    format: String,
  }
}

export const roleArn = text(ROLE_ARN_ALLOWED, (value) => parseRoleArn(value) !== undefined)

/** Source: STS API reference, AssumeRole: ExternalId. */
export const externalId = text('2–1224 characters of A–Z a–z 0–9 _ + = , . @ : / -', (value) =>
  /^[\w+=,.@:/-]{2,1224}$/.test(value),
)

/** An ARN of a cluster, as EKS has them; other clusters may choose one of that form. */
export const clusterArn = text(
  'an ARN such as arn:aws:eks:eu-central-1:111122223333:cluster/NAME, of at most 256 characters',
  (value) =>
    value.length <= 256 &&
    /^arn:[a-z-]+:eks:[a-z0-9-]*:(?:[0-9]{12})?:cluster\/[\w.-]{1,100}$/.test(value),
)

/** Source: Amazon EKS API reference, CreateCluster. */
export const clusterName = text(
  '1–100 characters of A–Z a–z 0–9 _ -, of which the first is a letter or digit',
  (value) => /^[0-9A-Za-z][\w-]{0,99}$/.test(value),
)

/** The uid of an object. */
export const objectUid = text('a uid of Kubernetes', (value) => /^[0-9A-Za-z-]{1,64}$/.test(value))

/** DurationSeconds of STS; below 1800 SDKs with a 15-minute window would refresh at every call. */
export const sessionDurationSeconds = seconds(1800, 43_200)

/** A session that is made with credentials of a role lasts at most an hour. Source: IAM, "Role chaining". */
export const MAX_CHAINED_SESSION_SECONDS = 3600

/** expirationSeconds of a projected token; the kubelet refuses less than 600. */
export const tokenExpirationSeconds = seconds(600, 86_400)

/** Lifetime of a certificate. */
export const certificateDurationSeconds = seconds(CERTIFICATE_SECONDS.min, CERTIFICATE_SECONDS.max)

/** Parts separated by commas; blanks around a part do not count. */
export function partsOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** Names of a certificate, separated by commas; `{pod}` in them is filled in by fillInPod. */
export const dnsNames: ValueKind<readonly string[]> = {
  allowed: `at most ${MAX_DNS_NAMES} host names in lower case, separated by commas, without wildcards; {pod} may be the whole first label of one`,
  parse(text) {
    const names = partsOf(text)
    return names.length <= MAX_DNS_NAMES && names.every(isDnsNameTemplate) ? names : undefined
  },
  format: (names) => names.join(','),
}

/** References of images, separated by blanks or line breaks. */
export const images: ValueKind<readonly string[]> = {
  allowed: 'image references separated by blanks or line breaks',
  parse: (value) => value.split(/\s+/).filter((one) => one !== ''),
  format: (all) => all.join(' '),
}

/** Names of containers, separated by commas. */
export const containerNames: ValueKind<readonly string[]> = {
  allowed: 'at most 20 container names separated by commas, or none',
  parse(value) {
    if (value.trim() === 'none') return [] // an empty value means the default
    const names = partsOf(value)
    const isName = (one: string): boolean => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(one)
    return names.length <= 20 && names.every(isName) ? names : undefined
  },
  format: (names) => (names.length === 0 ? 'none' : names.join(',')),
}

/** Uid and gid of the sidecar; `platform`: what Kubernetes or its platform gives it. */
export type ExchangerUser = 'platform' | number

/** Never 0, which is root. Source: Kubernetes API reference, SecurityContext. */
export const exchangerUser: ValueKind<ExchangerUser> = {
  allowed: 'platform, or a user id from 1 to 2147483647 (0 is root)',
  parse(value) {
    if (value === 'platform') return value
    return /^[1-9]\d{0,9}$/.test(value) && Number(value) <= 2_147_483_647
      ? Number(value)
      : undefined
  },
  format: String,
}

/** The domain of the cluster's own DNS names. */
export const clusterDomain = text('a host name in lower case, such as cluster.local', isDnsName)

/** A template of the role session name; its literals are sanitised on the way in. */
export const sessionName: ValueKind<string> = {
  allowed: SESSION_NAME_ALLOWED,
  parse: (value) => (isSessionNameTemplate(value) ? sanitiseTemplate(value) : undefined),
  format: (value) => value,
}

export const audience = text('1–253 printable ASCII characters without blanks', (value) =>
  /^[\x21-\x7e]{1,253}$/.test(value),
)

/** Audiences of tokens, separated by blanks or line breaks. */
export const audiences: ValueKind<readonly string[]> = {
  allowed:
    'audiences separated by blanks or line breaks, each of at most 253 printable ASCII characters',
  parse(value) {
    const all = value.split(/\s+/).filter((one) => one !== '')
    return all.length > 0 && all.every((one) => audience.parse(one) !== undefined) ? all : undefined
  },
  format: (all) => all.join(' '),
}

/** Names that SDKs accept as a region and turn into another host; the app would get them as its region, too. */
const PSEUDO_REGION = /^(?:aws|s3)-|(?:^|-)(?:fips|global|dualstack)(?:-|$)/
/** Of an availability or local zone, `us-east-1a`. */
const ZONE = /-[0-9]+[a-z]$/

/** Regions of other STSes pass, too. */
export const region = text(
  'a region such as eu-central-1; not a zone such as eu-central-1a, and not a pseudo-region such as aws-global, fips-us-east-1 or us-east-1-fips',
  (value) =>
    /^[a-z]{2,10}(?:-[a-z0-9]{1,15}){1,4}$/.test(value) &&
    !PSEUDO_REGION.test(value) &&
    !ZONE.test(value),
)

const MAY_HOLD_PASSWORD: Pick<ValueKind<string>, 'isSecret'> = {
  isSecret: (value) => value.includes('@') || value.includes('%'),
}

/** Base URL of a service, such as an STS endpoint. SDKs disagree about a path, so it has none. */
export const httpUrl = text(
  'an http or https URL without path, such as https://sts.example.com',
  (value) => {
    if (value.length > 2048 || !/^https?:\/\/[^/?#@\s]+\/?$/.test(value)) return false
    return URL.canParse(value)
  },
  MAY_HOLD_PASSWORD,
)

/** Base URL of a service that is reached by TLS alone. */
export const httpsUrl = text(
  'an https URL without path, such as https://authority.example.com',
  (value) => value.startsWith('https://') && httpUrl.parse(value) !== undefined,
  MAY_HOLD_PASSWORD,
)

/** A proxy that leads to STS by CONNECT. Everyone who may read a pod reads its environment, so it has no password. */
export const proxyUrl = text(
  'an http or https URL of host and port, without user, password or path, such as http://proxy.example.com:3128',
  (value) => httpUrl.parse(value) !== undefined && !value.includes('$'), // the guard compares it as it is
  MAY_HOLD_PASSWORD,
)

/** Absolute path of a file or folder in the container. */
export const absolutePath = text('an absolute path', (value) => /^\/[^\0]{0,4095}$/.test(value))

/** Name of a Namespace, ServiceAccount or Pod. Source: Kubernetes, "Object Names and IDs". */
export const objectName = text('a Kubernetes object name', (value) =>
  /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(value),
)

/** `"true"` or `"false"`, as Kubernetes annotations write booleans. */
export const flag = oneOf('true', 'false')
