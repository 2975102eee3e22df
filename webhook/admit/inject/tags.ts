import {
  fillInTag,
  formatTag,
  TAG_LIMITS,
  type SessionTag,
} from '../../../contract/session-tags.ts'
import type { WantedTarget } from '../../../contract/wanted.ts'
import { longestNameOf, type Pod } from '../pod.ts'

/** Whose session it is. */
interface Workload {
  readonly namespace: string
  readonly serviceAccount: string
}

/** The tags that the exchanger is told: all is filled in but the name of the pod. Undefined if there are none. */
export function admittedTags(
  { tags }: WantedTarget,
  { namespace, serviceAccount }: Workload,
): readonly SessionTag[] | undefined {
  if (tags.length === 0) return undefined
  return tags.map((tag) => fillInTag(tag, { namespace, serviceaccount: serviceAccount }))
}

/** What is too long once everything is filled in, and by how many characters. */
interface TagExcess {
  /** As `key=value`; undefined if it is all tags together. */
  readonly tag: string | undefined
  readonly characters: number
}

/**
 * The first tag whose value STS would refuse for its length, with the longest name that the pod may get; or all of them,
 * if they are longer than what the exchanger takes. Undefined if they fit.
 */
export function tagExcess(
  target: WantedTarget,
  workload: Workload,
  pod: Pod,
): TagExcess | undefined {
  const tags = admittedTags(target, workload) ?? []
  const name = longestNameOf(pod)
  for (const [index, tag] of tags.entries()) {
    const characters = fillInTag(tag, { pod: name }).value.length - TAG_LIMITS.value
    if (characters > 0) return { tag: formatTag(target.tags[index] ?? tag), characters }
  }
  const characters = tags.map(formatTag).join(',').length - TAG_LIMITS.text
  return characters > 0 ? { tag: undefined, characters } : undefined
}
