/** An IAM role ARN, taken apart. */
export interface RoleArn {
  /** The whole ARN, as it was written. */
  readonly arn: string
  readonly partition: string
  /** 12 digits. */
  readonly accountId: string
  /** `/` or `/teams/a/`. */
  readonly path: string
  readonly name: string
}

/**
 * The default region of STS in each partition.
 * Source: AWS, "Partitions" and "AWS STS Regions and endpoints".
 */
const DEFAULT_REGION_OF: Readonly<Record<string, string>> = {
  aws: 'us-east-1',
  'aws-cn': 'cn-north-1',
  'aws-us-gov': 'us-gov-west-1',
  'aws-iso': 'us-iso-east-1',
  'aws-iso-b': 'us-isob-east-1',
  'aws-iso-e': 'eu-isoe-west-1',
  'aws-iso-f': 'us-isof-south-1',
  'aws-eusc': 'eusc-de-east-1',
}

/** RoleArn of STS has 20–2048 characters; an IAM path at most 512, a role name at most 64. */
const LENGTH = { min: 20, max: 2048, path: 512 } as const
const SHAPE =
  /^arn:(aws|aws-cn|aws-us-gov|aws-iso(?:-[a-z])?|aws-eusc):iam::([0-9]{12}):role\/([\x21-\x7e]*\/)?([\w+=,.@-]{1,64})$/

export const ROLE_ARN_ALLOWED =
  'a full IAM role ARN, arn:<aws|aws-cn|aws-us-gov|aws-iso*|aws-eusc>:iam::<12 digits>:role/<path and name>'

/** Takes a role ARN apart; undefined if the text is not one. Source: IAM, "IAM identifiers". */
export function parseRoleArn(text: string): RoleArn | undefined {
  if (text.length < LENGTH.min || text.length > LENGTH.max) return undefined
  const [, partition, accountId, path = '', name] = SHAPE.exec(text) ?? []
  if (partition === undefined || accountId === undefined || name === undefined) return undefined
  if (path.length >= LENGTH.path) return undefined
  return { arn: text, partition, accountId, path: `/${path}`, name }
}

/** The account is not needed to judge a name. */
const ANY_BASE = 'arn:aws:iam::000000000000:role/'

/**
 * True for a name, or a path and name, that stands behind `role/`: `app`, `team-a/app`, `/team-a/app`. Without colons,
 * so that a misspelled ARN is not taken for a name.
 */
export function isRoleName(text: string): boolean {
  return !text.includes(':') && roleBelow(ANY_BASE, text) !== undefined
}

/** True for what may stand before such a name: `arn:aws:iam::111122223333:role/` or `…:role/team-a/`. */
export function isRoleBase(text: string): boolean {
  return text.endsWith('/') && parseRoleArn(`${text}x`) !== undefined
}

/** The role that a name means below a base; undefined if together they are no role ARN. */
export function roleBelow(base: string, name: string): RoleArn | undefined {
  return parseRoleArn(base + name.replace(/^\//, ''))
}

/** The region whose STS is used if neither annotation nor flag names one. */
export function defaultRegionOf(role: RoleArn): string {
  return DEFAULT_REGION_OF[role.partition] ?? 'us-east-1'
}

/** Regions begin with these; all others are of partition `aws`, or of another STS. Source: AWS, "Partitions". */
const PARTITION_OF: Readonly<Record<string, string>> = {
  'cn-': 'aws-cn',
  'us-gov-': 'aws-us-gov',
  'us-iso-': 'aws-iso',
  'us-isob-': 'aws-iso-b',
  'eu-isoe-': 'aws-iso-e',
  'us-isof-': 'aws-iso-f',
  'eusc-': 'aws-eusc',
}

/** The partition of a region. STS of another partition does not know the role. */
export function partitionOf(region: string): string {
  const prefix = Object.keys(PARTITION_OF).find((one) => region.startsWith(one))
  return PARTITION_OF[prefix ?? ''] ?? 'aws'
}
