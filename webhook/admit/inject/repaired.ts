import { digestOf, isSameImage } from '../../../contract/image.ts'
import type { Container, EnvVar, VolumeMount } from '../pod.ts'
import { equalIgnoringNulls } from './equal.ts'
import { RESERVED_VOLUME_NAMES, type Injection } from './injection.ts'
import { isHarmlessPath, isHarmlessVariable, OWN_VARIABLES } from './reach.ts'
import { formsOf } from './resources.ts'

/**
 * The sidecar, repaired: additions that cannot affect what the exchanger does (reach.ts) stay, everything else is as
 * nocreds writes it, even if another webhook, a person or an older version changed it.
 * Idempotent; a container with nothing to repair is returned as it is, by reference.
 *
 * @param injected the container as nocreds writes it
 */
export function repaired(found: Container, injected: Container, injection: Injection): Container {
  const entries: [string, unknown][] = []
  let isChanged = false
  for (const field of new Set([...Object.keys(found), ...Object.keys(injected)])) {
    const theirs = ownField(found, field)
    const rule = RULES.get(field)
    const value =
      rule === undefined
        ? sameOr(theirs, ownField(injected, field))
        : rule(found, injected, injection)
    if (value !== theirs) isChanged = true
    if (value !== undefined) entries.push([field, value])
  }
  return isChanged ? (Object.fromEntries(entries) as Container) : found
}

/** What was repaired, for messages: fields, variables by name, mounts by path; no values. */
export function repairedParts(found: Container, after: Container): readonly string[] {
  const fields = new Set([...Object.keys(found), ...Object.keys(after)])
  return [...fields].flatMap((field) => {
    if (ownField(found, field) === ownField(after, field) || field === 'resources') return []
    if (field === 'env') return differing(found.env, after.env, ({ name }) => `variable ${name}`)
    if (field === 'volumeMounts')
      return differing(
        found.volumeMounts,
        after.volumeMounts,
        ({ mountPath }) => `mount ${mountPath}`,
      )
    return [field]
  })
}

/** The value of a field of the object itself: never an inherited one such as `constructor`. */
function ownField(of: object, field: string): unknown {
  return Object.hasOwn(of, field) ? (of as Readonly<Record<string, unknown>>)[field] : undefined
}

function sameOr(theirs: unknown, injected: unknown): unknown {
  return equalIgnoringNulls(theirs ?? undefined, injected ?? undefined) ? theirs : injected
}

type Rule = (found: Container, injected: Container, injection: Injection) => unknown

/** The fields in which others may make harmless changes. */
const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['image', imageOf],
  [
    'imagePullPolicy',
    // A tag can be another image at each pull; a digest cannot.
    (found, injected, injection) =>
      digestOf(imageOf(found, injected, injection) ?? '') === undefined
        ? injected.imagePullPolicy
        : (found.imagePullPolicy ?? injected.imagePullPolicy),
  ],
  [
    'env',
    (found, injected) =>
      merged(found.env, injected.env, {
        keyOf: ({ name }) => name,
        mayStay: ({ name }) => isHarmlessVariable(name),
      }),
  ],
  [
    'volumeMounts',
    // The apiserver's own token, mounted into every container that it sees for the first time, is one of those that may stay.
    (found, injected) =>
      merged(found.volumeMounts, injected.volumeMounts, {
        keyOf: ({ mountPath }) => mountPath,
        mayStay: ({ name, mountPath }) =>
          !RESERVED_VOLUME_NAMES.includes(name) && isHarmlessPath(mountPath),
      }),
  ],
  ['resources', resourcesOf],
  ['resizePolicy', (found) => ownField(found, 'resizePolicy')],
  ['securityContext', securityContextOf],
])

/**
 * Another image of the settings, such as the name that a mirror gave it, stays if the container is otherwise of this
 * version. The former image in a container of a former version does not: it may not support what this one writes.
 */
function imageOf(
  found: Container,
  injected: Container,
  { exchangerImages }: Injection,
): Container['image'] {
  const image = found.image ?? ''
  if (isSameImage(image, injected.image ?? '')) return image
  const isNamed = exchangerImages.some((one) => isSameImage(image, one))
  return isNamed && isOfThisVersion(found, injected) ? image : injected.image
}

function isOfThisVersion(found: Container, injected: Container): boolean {
  const own = found.env?.filter(({ name }) => name.startsWith(OWN_VARIABLES))
  return (
    equalIgnoringNulls(own, injected.env) &&
    ['command', 'lifecycle', 'startupProbe'].every((field) =>
      equalIgnoringNulls(ownField(found, field), ownField(injected, field)),
    )
  )
}

/** Quotas and recommenders change requests and limits; a claim brings a device, and files with it. */
function resourcesOf(
  { resources }: Container,
  injected: Container,
  { request }: Injection,
): unknown {
  if ((resources?.claims ?? []).length > 0) return injected.resources
  const isAsInjected = formsOf(request.exchangerResources).some((form) =>
    equalIgnoringNulls(resources ?? {}, form ?? {}),
  )
  return isAsInjected ? sameOr(resources, injected.resources) : resources
}

/** Fields by which platforms confine a container further, or that state what already holds. */
const HARMLESS_SECURITY: Readonly<Record<string, (value: unknown) => boolean>> = {
  privileged: (value) => value === false,
  procMount: (value) => value === 'Default',
  seLinuxOptions: () => true,
  appArmorProfile: () => true,
}

function securityContextOf(
  found: Container,
  injected: Container,
  { exchangerUser }: Injection,
): unknown {
  const theirs = fieldsOf(ownField(found, 'securityContext'))
  const harmless = Object.entries(theirs).filter(([field, value]) => {
    if (field === 'runAsUser') return exchangerUser === 'platform' && isId(value) && value !== 0
    if (field === 'runAsGroup') return exchangerUser === 'platform' && isId(value)
    return Object.hasOwn(HARMLESS_SECURITY, field) && HARMLESS_SECURITY[field]?.(value) === true
  })
  const wanted = {
    ...Object.fromEntries(harmless),
    ...fieldsOf(ownField(injected, 'securityContext')),
  }
  const capabilities = fieldsOf(theirs['capabilities'])
  const dropsAll = listOf(capabilities['drop']).includes('ALL')
  if (dropsAll && listOf(capabilities['add']).length === 0) {
    wanted['capabilities'] = theirs['capabilities']
  }
  return sameOr(ownField(found, 'securityContext'), wanted)
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

interface Merging<T> {
  readonly keyOf: (one: T) => string
  /** Whether an element that nocreds does not write stays. */
  readonly mayStay: (one: T) => boolean
}

/** The list with each injected element once, as nocreds writes it; the list itself if that changes nothing. */
function merged<T extends EnvVar | VolumeMount>(
  found: readonly T[] | null | undefined,
  injected: readonly T[] | null | undefined,
  { keyOf, mayStay }: Merging<T>,
): readonly T[] | null | undefined {
  const wanted = new Map((injected ?? []).map((one) => [keyOf(one), one]))
  const kept: T[] = []
  for (const one of found ?? []) {
    const asInjected = wanted.get(keyOf(one))
    if (asInjected !== undefined) kept.push(equalIgnoringNulls(one, asInjected) ? one : asInjected)
    else if (mayStay(one) && !(injected ?? []).some((other) => keyOf(other) === keyOf(one)))
      kept.push(one)
    wanted.delete(keyOf(one))
  }
  const all = [...kept, ...wanted.values()]
  const isSameList =
    all.length === (found ?? []).length && all.every((one, at) => one === found?.[at])
  return isSameList ? found : all
}

function differing<T>(
  before: readonly T[] | null | undefined,
  after: readonly T[] | null | undefined,
  nameOf: (one: T) => string,
): string[] {
  const [had, has] = [before ?? [], after ?? []]
  const changed = [
    ...had.filter((one) => !has.includes(one)),
    ...has.filter((one) => !had.includes(one)),
  ]
  return [...new Set(changed.map(nameOf))]
}
