import type * as z from 'zod'

/** What `schema.safeParse` returns. */
export type Checked<T> = z.ZodSafeParseResult<T>

type Fits = (value: unknown) => boolean

/**
 * The `safeParse` of a schema, but a value that matches is returned as it is instead of as a copy: a pod
 * has hundreds of objects, and every pod creation of the cluster waits for this. Only a value that
 * does not fit goes through zod, which says why.
 *
 * Measured side by side (20 pairs of rounds of 0.7 s, twice, on two busy cores): with zod alone the webhook admits 8 % and
 * 11 % fewer pods, and a review takes 9 % and 10 % more CPU.
 *
 * For schemas that check and do not change: loose objects, records, arrays, texts, and the like.
 *
 * @throws Error for a schema with anything else in it
 */
export function checkInPlace<T>(schema: z.ZodType<T>): (value: unknown) => Checked<T> {
  const fits = compile(schema)
  return (value) =>
    fits(value)
      ? { success: true, data: value as T }
      : schema.safeParse(value, { reportInput: false })
}

function compile(schema: z.core.$ZodType): Fits {
  const { def } = (schema as z.core.$ZodTypes)._zod
  switch (def.type) {
    case 'unknown':
      return (value) => value !== undefined
    case 'string':
      return isTextOf(leastLength(def.checks ?? []))
    case 'boolean':
      return (value) => typeof value === 'boolean'
    case 'literal':
      return isOneOf(def.values)
    case 'enum':
      return isOneOf(Object.values(def.entries))
    case 'optional':
      return isAbsentOr(undefined, compile(def.innerType))
    case 'nullable':
      return isAbsentOr(null, compile(def.innerType))
    case 'array':
      return isListOf(compile(def.element))
    case 'record':
      return isRecordOf(compile(def.keyType), compile(def.valueType))
    case 'object':
      return isObjectOf(def.shape, def.catchall)
    default:
      throw notKnown(def.type)
  }
}

function notKnown(what: string): Error {
  return new Error(`a schema that cannot be checked in place: ${what}`)
}

function isTextOf(least: number): Fits {
  return (value) => typeof value === 'string' && value.length >= least
}

function leastLength(checks: readonly z.core.$ZodCheck[]): number {
  const least = checks.map(({ _zod: { def } }) => {
    if (def.check !== 'min_length') throw notKnown(`text with ${def.check}`)
    return (def as z.core.$ZodCheckMinLengthDef).minimum
  })
  return Math.max(0, ...least)
}

function isOneOf(values: readonly unknown[]): Fits {
  return (value) => values.includes(value)
}

function isAbsentOr(absent: null | undefined, fits: Fits): Fits {
  return (value) => value === absent || fits(value)
}

// Loops without functions of their own: these run for every object of every pod.

function isListOf(fits: Fits): Fits {
  return (value) => {
    if (!Array.isArray(value)) return false
    for (const one of value as readonly unknown[]) if (!fits(one)) return false
    return true
  }
}

function isRecordOf(keyFits: Fits, fits: Fits): Fits {
  return (value) => {
    if (!isObject(value)) return false
    for (const key of Object.keys(value)) if (!keyFits(key) || !fits(value[key])) return false
    return true
  }
}

function isObjectOf(
  shape: Readonly<Record<string, z.core.$ZodType>>,
  catchall: z.core.$ZodType | undefined,
): Fits {
  if (catchall?._zod.def.type !== 'unknown') throw notKnown('an object that is not loose')
  const fields = Object.entries(shape).map(([key, field]) => ({ key, fits: compile(field) }))
  return (value) => {
    if (!isObject(value)) return false
    for (const { key, fits } of fields) if (!fits(value[key])) return false
    return true
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
