import { expect } from '@jest/globals'
import { appBesideOwnSts } from './own-sts.ts'
import { podSpec, type Suite, type Team } from './suite.ts'
import { waitFor } from './wait.ts'

const ASK = `node /app/main.mjs 2>/tmp/why || echo "failed: $(grep -m1 Error /tmp/why)"`
const ASKS_FOREVER = `while :; do ${ASK}; sleep 3; done`
/** How the SDK names that its default chain came to nothing. */
const WITHOUT_CREDENTIALS = /CredentialsProviderError|CredentialsError/

/** Fifty pods that start at once keep a small machine busy for minutes. */
const ANSWER_MS = 300_000

/** A pod that asks who it is again and again, each time in a new process, so by a new look at its credentials. */
export interface AskingApp {
  /** What it said so far, in its present container. */
  said(): Promise<readonly string[]>
  /** It asks once more after `before` answers, and each answer is its role. */
  expectUnnoticed(before: number): Promise<void>
  /** It is answered by its role. Questions before that may have found no STS, but each had credentials. */
  expectAnswered(): Promise<void>
}

/**
 * Starts it, and waits until it has an answer.
 *
 * @param spec further fields of the pod's spec
 */
export async function startAsking(
  { kubectl }: Suite,
  { namespace, identity }: Team,
  pod: string,
  spec: object = {},
): Promise<AskingApp> {
  const metadata = { name: pod, namespace }
  const whole = { ...podSpec(appBesideOwnSts(['sh', '-c', ASKS_FOREVER])), ...spec }
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: whole })
  const said = async (): Promise<string[]> => {
    const log = await kubectl(['logs', pod, '--namespace', namespace, '--container', 'app'])
    return log === '' ? [] : log.split('\n')
  }
  const saidMoreThan = (before: number): Promise<string[]> =>
    waitFor(`answer ${before + 1} to ${pod}`, ANSWER_MS, async () => {
      const lines = await said()
      return lines.length > before ? lines : undefined
    })
  await saidMoreThan(0)
  return {
    said,
    async expectUnnoticed(before) {
      const lines = await saidMoreThan(before)
      expect([...new Set(lines)]).toEqual([JSON.stringify(identity)])
    },
    async expectAnswered() {
      const lines = await waitFor(`an answer of STS to ${pod}`, ANSWER_MS, async () => {
        const soFar = await said()
        return soFar.at(-1) === JSON.stringify(identity) ? soFar : undefined
      })
      expect(lines.filter((line) => WITHOUT_CREDENTIALS.test(line))).toEqual([])
    },
  }
}
