/** Test double, part of the embedded STS: the bounds of parameters. Never shipped. */
import { Refusal } from './refusal.ts'

/** What each request for a session is about, within bounds. */
export interface AssumeParameters {
  readonly roleArn: string
  readonly sessionName: string
  readonly durationSeconds: number
}

/** Bounds of one text parameter, both inclusive. */
interface TextBounds {
  readonly parameter: string
  /** How AWS's messages call it. */
  readonly member: string
  readonly min: number
  readonly max: number
  readonly pattern?: string
}

/** Source: STS API reference, AssumeRoleWithWebIdentity, "Request Parameters", and AssumeRole. */
const ROLE_ARN: TextBounds = { parameter: 'RoleArn', member: 'roleArn', min: 20, max: 2048 }
const TOKEN: TextBounds = {
  parameter: 'WebIdentityToken',
  member: 'webIdentityToken',
  min: 4,
  max: 20_000,
}
const SESSION_NAME: TextBounds = {
  parameter: 'RoleSessionName',
  member: 'roleSessionName',
  min: 2,
  max: 64,
  pattern: '[\\w+=,.@-]*',
}
const EXTERNAL_ID: TextBounds = {
  parameter: 'ExternalId',
  member: 'externalId',
  min: 2,
  max: 1224,
  pattern: '[\\w+=,.@:\\/-]*',
}
const DURATION = { min: 900, max: 43_200, default: 3600 } as const

/** Would change the session; ignoring them would grant another one than was asked for. */
const NOT_MODELLED = /^(?:ProviderId|SerialNumber|TokenCode|SourceIdentity|ProvidedContexts\..*)$/

/** @throws Refusal ValidationError in AWS's words */
export function readAssumeParameters(form: URLSearchParams): AssumeParameters {
  const notModelled = [...form.keys()].find((key) => NOT_MODELLED.test(key))
  if (notModelled !== undefined) {
    throw new Refusal('ValidationError', `the embedded STS does not know ${notModelled}`)
  }
  return {
    roleArn: readText(form, ROLE_ARN),
    sessionName: readText(form, SESSION_NAME),
    durationSeconds: readDuration(form.get('DurationSeconds')),
  }
}

/** @throws Refusal ValidationError */
export function readToken(form: URLSearchParams): string {
  return readText(form, TOKEN)
}

/** @throws Refusal ValidationError */
export function readExternalId(form: URLSearchParams): string | undefined {
  return form.has(EXTERNAL_ID.parameter) ? readText(form, EXTERNAL_ID) : undefined
}

/**
 * The members of a list, `Tags.member.1.Key=…`, each as its fields by name; of a list of texts the name is empty.
 * Source: STS API reference, "Making Query Requests".
 */
export function listFrom(form: URLSearchParams, name: string): ReadonlyMap<string, string>[] {
  const members = new Map<number, Map<string, string>>()
  for (const [key, value] of form) {
    const [, list, index, field = ''] = /^(\w+)\.member\.(\d{1,4})(?:\.(\w+))?$/.exec(key) ?? []
    if (list !== name) continue
    const fields = members.get(Number(index)) ?? new Map<string, string>()
    members.set(Number(index), fields.set(field, value))
  }
  return [...members].toSorted(([one], [other]) => one - other).map(([, fields]) => fields)
}

function readText(form: URLSearchParams, bounds: TextBounds): string {
  const value = form.get(bounds.parameter)
  if (value === null) throw failed('null', bounds.member, 'Member must not be null')
  // AWS repeats the value; a token is a secret, so it is left out here.
  const shown = bounds === TOKEN ? '***' : `'${value}'`
  if (value.length < bounds.min) {
    throw failed(
      shown,
      bounds.member,
      `Member must have length greater than or equal to ${bounds.min}`,
    )
  }
  if (value.length > bounds.max) {
    throw failed(
      shown,
      bounds.member,
      `Member must have length less than or equal to ${bounds.max}`,
    )
  }
  if (bounds.pattern !== undefined && !new RegExp(`^${bounds.pattern}$`).test(value)) {
    const constraint = `Member must satisfy regular expression pattern: ${bounds.pattern}`
    throw failed(shown, bounds.member, constraint)
  }
  return value
}

function readDuration(text: string | null): number {
  if (text === null) return DURATION.default
  const value = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value)) {
    throw failed(`'${text}'`, 'durationSeconds', 'Member must be an integer')
  }
  if (value < DURATION.min) {
    const constraint = `Member must have value greater than or equal to ${DURATION.min}`
    throw failed(`'${value}'`, 'durationSeconds', constraint)
  }
  if (value > DURATION.max) {
    const constraint = `Member must have value less than or equal to ${DURATION.max}`
    throw failed(`'${value}'`, 'durationSeconds', constraint)
  }
  return value
}

/** A parameter out of bounds, in AWS's words. */
export function failed(shown: string, member: string, constraint: string): Refusal {
  return new Refusal(
    'ValidationError',
    `1 validation error detected: Value ${shown} at '${member}' failed to satisfy constraint: ${constraint}`,
  )
}
