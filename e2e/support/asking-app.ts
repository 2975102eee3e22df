import { expect } from '@jest/globals'
import { STS_OF_APPS } from './own-sts.ts'
import { podSpec, whoAmI, type Suite, type Team } from './suite.ts'
import { waitFor } from './wait.ts'

/** A pod that asks who it is again and again, each time in a new process, so by a new look at its credentials. */
export interface AskingApp {
  readonly pod: string
  /** What it said so far, in its present container. */
  said(): Promise<readonly string[]>
  /** It asks once more after `before` answers, and each answer is its role. */
  expectUnnoticed(before: number): Promise<void>
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
  const whole = { ...podSpec(asksForever()), ...spec }
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: whole })
  const said = async (): Promise<string[]> => {
    const log = await kubectl(['logs', pod, '--namespace', namespace, '--container', 'app'])
    return log === '' ? [] : log.split('\n')
  }
  const saidMoreThan = (before: number): Promise<string[]> =>
    waitFor(`answer ${before + 1} to ${pod}`, 120_000, async () => {
      const lines = await said()
      return lines.length > before ? lines : undefined
    })
  await saidMoreThan(0)
  return {
    pod,
    said,
    async expectUnnoticed(before) {
      const lines = await saidMoreThan(before)
      expect([...new Set(lines)]).toEqual([JSON.stringify(identity)])
    },
  }
}

function asksForever(): object {
  const env = [
    { name: 'AWS_ENDPOINT_URL_STS', value: STS_OF_APPS },
    { name: 'AWS_REGION', value: 'us-east-1' },
  ]
  const loop = 'while :; do node /app/main.mjs 2>/dev/null || echo failed; sleep 3; done'
  return { ...whoAmI(), env, command: ['sh', '-c', loop] }
}
