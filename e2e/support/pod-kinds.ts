import { TLS_VOLUME } from '../../contract/certificates.ts'
import { INJECTED_ROLE } from '../../contract/names.ts'
import { realClock, sleep } from '../../shared/base/clock.ts'
import type { Apiserver } from './apiserver.ts'

const PAUSE_MS = 300

/** Pods that are alike, and what the webhook is to make of them. */
export interface PodKind {
  readonly namespace: string
  /** Default: `default`. */
  readonly serviceAccountName?: string
  readonly annotations?: Readonly<Record<string, string>>
  /** The role that it is to be admitted with. */
  readonly role?: string
  /** True: it is to have a certificate, by either way. */
  readonly hasCertificate?: boolean
}

/** What became of the pods of a kind. */
export interface StreamedKind {
  readonly admitted: number
  /** Why others were not, once each. */
  readonly denied: readonly string[]
  /** Names of those that were admitted, but not with what they ask for, or with what they do not ask for. */
  readonly wrong: readonly string[]
  /** What became of the last one. */
  readonly last: 'admitted' | 'denied' | 'none'
}

interface Pod {
  readonly metadata: {
    readonly name: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: { readonly volumes?: readonly { readonly name: string }[] }
}

/** On every pod of a stream. */
export const STREAMED = { 'nocreds-e2e/streamed': 'yes' } as const

/** A pod of a kind; of a scheduler that does not exist, so that it never starts. */
function podOf({ serviceAccountName = 'default', annotations = {} }: PodKind): object {
  const containers = [{ name: 'app', image: 'example/app:1' }]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'stream-', labels: STREAMED, annotations },
    spec: { serviceAccountName, schedulerName: 'none', containers },
  }
}

function isRight({ metadata, spec }: Pod, { role, hasCertificate = false }: PodKind): boolean {
  const certified = spec.volumes?.some(({ name }) => name === TLS_VOLUME.name) ?? false
  return metadata.annotations?.[INJECTED_ROLE] === role && certified === hasCertificate
}

/**
 * Creates pods of every kind, one of each at once and then a pause, until `work` is done, without trying anything
 * again.
 *
 * @param work what happens meanwhile; its error ends the stream, and is thrown
 */
export async function streamKindsDuring<Name extends string>(
  api: Apiserver,
  kinds: Readonly<Record<Name, PodKind>>,
  work: () => Promise<unknown>,
): Promise<Record<Name, StreamedKind>> {
  const names = Object.keys(kinds) as Name[]
  const counted = names.map((name) => ({
    name,
    kind: kinds[name],
    admitted: 0,
    denied: new Set<string>(),
    wrong: [] as string[],
    last: 'none',
  }))
  const createOne = async (one: (typeof counted)[number]): Promise<void> => {
    const path = `/api/v1/namespaces/${one.kind.namespace}/pods`
    const answer = await api({ method: 'POST', path, body: podOf(one.kind) })
    one.last = answer.status === 201 ? 'admitted' : 'denied'
    if (answer.status !== 201) one.denied.add(`${answer.status} ${withoutName(answer.message)}`)
    else if (isRight(answer.body as Pod, one.kind)) one.admitted += 1
    else one.wrong.push((answer.body as Pod).metadata.name)
  }
  const done = new AbortController()
  const working = work().finally(() => {
    done.abort()
  })
  const streaming = (async () => {
    while (!done.signal.aborted) {
      await Promise.all(counted.map(createOne))
      await sleep(realClock, PAUSE_MS)
    }
  })()
  await Promise.all([working, streaming])
  const results = counted.map(({ name, admitted, denied, wrong, last }) => [
    name,
    { admitted, denied: [...denied], wrong, last },
  ])
  return Object.fromEntries(results) as Record<Name, StreamedKind>
}

/** A message without the random end of a pod's name, so that the same one is counted once. */
function withoutName(message: string): string {
  return message.replace(/stream-[a-z0-9]{5}/g, 'stream-')
}
