import { expect } from '@jest/globals'
import { appBesideOwnSts } from './own-sts.ts'
import { podSpec, type Suite, type Team } from './suite.ts'
import { waitFor } from './wait.ts'

interface Answer {
  readonly account?: string
  readonly arn?: string
  /** Digest of the key that signed the question. */
  readonly key?: string
  readonly failed?: string
}

/** A pod in which one client of the SDK asks every second who it is, as long as the pod lives. */
export interface ForeverApp {
  /** What it was answered so far. */
  answers(): Promise<readonly Answer[]>
  /** Waits until it has asked with so many keys, and then for none that failed. */
  expectAskedWith(keys: number): Promise<readonly Answer[]>
  /** Waits until it has asked so often, and then for none that failed. */
  expectAsked(times: number): Promise<readonly Answer[]>
}

/**
 * Starts it, and does not wait.
 *
 * @param annotations of the pod
 * @param more further fields of the pod's spec
 */
export async function startForever(
  { kubectl }: Suite,
  { namespace, identity }: Team,
  pod: string,
  { annotations = {}, more = {} }: { readonly annotations?: object; readonly more?: object } = {},
): Promise<ForeverApp> {
  const metadata = { name: pod, namespace, annotations }
  const spec = { ...podSpec(appBesideOwnSts(['node', '/app/forever.mjs'])), ...more }
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  const answers = async (): Promise<Answer[]> => {
    const log = await kubectl(['logs', pod, '--namespace', namespace, '--container', 'app'])
    return log.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Answer]))
  }
  const once = async (
    what: string,
    isEnough: (soFar: readonly Answer[]) => boolean,
  ): Promise<readonly Answer[]> => {
    const all = await waitFor(`${pod} to ask ${what}`, 150_000, async () => {
      const soFar = await answers()
      return isEnough(soFar) ? soFar : undefined
    })
    for (const { account, arn, failed } of all)
      expect({ account, arn, failed }).toEqual({ ...identity, failed: undefined })
    return all
  }
  return {
    answers,
    expectAskedWith: (keys) =>
      once(`with ${keys} keys`, (soFar) => new Set(soFar.map(({ key }) => key)).size >= keys),
    expectAsked: (times) => once(`${times} times`, (soFar) => soFar.length >= times),
  }
}
