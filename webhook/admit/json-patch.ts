import type { Operation } from '../../shared/server/kube/kube-client.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * The operations that turn `before` into `after`, field by field: what did not change is not
 * mentioned, so unknown fields keep their bytes. Subtrees shared by reference cost
 * nothing, which is what makes this fast after a change by structural sharing.
 *
 * Lists may gain elements anywhere; an element is recognised by its `name` (containers, volumes, env)
 * or `mountPath`, as Kubernetes merges them. A list that lost or reordered elements is replaced whole.
 */
export function diff(before: unknown, after: unknown): Operation[] {
  const operations: Operation[] = []
  collect(before, after, '', operations)
  return operations
}

function collect(before: unknown, after: unknown, path: string, out: Operation[]): void {
  if (before === after) return
  if (Array.isArray(before) && Array.isArray(after)) {
    collectFromLists(before, after, path, out)
  } else if (isObject(before) && isObject(after)) {
    collectFromObjects(before, after, path, out)
  } else {
    out.push({ op: 'replace', path, value: after })
  }
}

function collectFromObjects(before: Fields, after: Fields, path: string, out: Operation[]): void {
  let kept = 0
  for (const key of Object.keys(after)) {
    const value = after[key]
    if (before[key] === value && value !== undefined) {
      kept += 1
    } else if (Object.hasOwn(before, key)) {
      kept += 1
      collect(before[key], value, `${path}/${escape(key)}`, out)
    } else {
      out.push({ op: 'add', path: `${path}/${escape(key)}`, value })
    }
  }
  const keys = Object.keys(before)
  if (kept === keys.length) return
  for (const key of keys) {
    if (!Object.hasOwn(after, key)) out.push({ op: 'remove', path: `${path}/${escape(key)}` })
  }
}

function collectFromLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
  out: Operation[],
): void {
  const edits: Operation[] = []
  let next = 0 // in `before`
  after.forEach((element, index) => {
    if (next < before.length && isSameElement(before[next], element)) {
      // Most elements are shared, and a pointer costs more than the comparison that saves it.
      if (before[next] !== element) collect(before[next], element, `${path}/${index}`, edits)
      next += 1
    } else {
      edits.push({ op: 'add', path: `${path}/${index}`, value: element })
    }
  })
  if (next < before.length) out.push({ op: 'replace', path, value: after })
  else out.push(...edits)
}

function isSameElement(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (!isObject(one) || !isObject(other)) return false
  const key = 'mountPath' in other ? 'mountPath' : 'name'
  return one[key] !== undefined && one[key] === other[key]
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Escapes a key for a JSON pointer (RFC 6901). */
function escape(key: string): string {
  if (!/[~/]/.test(key)) return key
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
