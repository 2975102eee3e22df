import type { ExchangeConfig } from '../../../contract/exchanger-env.ts'
import { PREFIX } from '../../../contract/names.ts'
import {
  DEFAULT_TAG,
  fillInTag,
  TAG_LIMITS,
  type SessionTag,
} from '../../../contract/session-tags.ts'
import { SidecarError } from '../../failure.ts'

/**
 * The tags that annotations ask for, with the pod's name filled in.
 *
 * @param name of the step
 * @throws SidecarError TagTooLong, as a name may be longer than the placeholder that it replaces
 */
export function sessionTagsOf(
  { sessionTags = [], pod }: Pick<ExchangeConfig, 'sessionTags' | 'pod'>,
  name: string,
): readonly SessionTag[] {
  const tags = sessionTags.map((tag) => fillInTag(tag, { pod }))
  const long = tags.find(({ value }) => value.length > TAG_LIMITS.value)
  if (long === undefined) return tags
  throw new SidecarError(
    'refused',
    'TagTooLong',
    `no exchange of ${name}: with the name of the pod the value of session tag ${long.key} has ${long.value.length} characters; allowed: at most ${TAG_LIMITS.value}`,
    `Shorten that tag in ${PREFIX}session-tags, or the name of the pod.`,
  )
}

/** The tags of nocreds itself: what the exchanger knows of its own identity, and nothing that an annotation says. */
export function defaultTagsOf({
  defaultTags,
  namespace,
  serviceAccount,
  pod,
}: Pick<
  ExchangeConfig,
  'defaultTags' | 'namespace' | 'serviceAccount' | 'pod'
>): readonly SessionTag[] {
  if (defaultTags === undefined) return []
  const values: Readonly<Record<keyof typeof DEFAULT_TAG, string | undefined>> = {
    clusterArn: defaultTags.clusterArn,
    clusterName: defaultTags.clusterName,
    namespace,
    serviceAccount,
    podName: pod,
    podUid: defaultTags.podUid,
  }
  return Object.entries(DEFAULT_TAG).flatMap(([name, key]) => {
    const value = values[name as keyof typeof DEFAULT_TAG]
    return value === undefined ? [] : [{ key, value }]
  })
}
