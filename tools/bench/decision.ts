import { SETTINGS as SETTINGS_OF_TESTS } from '../../test/fakes/webhook-settings.ts'
import { decideByPodAlone, decidePod, type Settings } from '../../webhook/admit/decide-pod.ts'
import { checkPod } from '../../webhook/admit/pod.ts'
import { EXCHANGER_IMAGE, NAMESPACE, podReview, ROLE } from './pod-review.ts'
import type { Section } from './section.ts'
import { median, quantile, spread } from './statistics.ts'

const GOAL_US = 50
const ROUNDS = 7
const DECISIONS = 5000

const SETTINGS: Settings = { ...SETTINGS_OF_TESTS, exchangerImage: EXCHANGER_IMAGE }

/** The pure part, on a pod that was parsed again each time: validate, decide, inject, patch. */
export function measureDecision(): Promise<Section> {
  const text = JSON.stringify(podReview())
  const rounds = Array.from({ length: ROUNDS + 1 }, () =>
    Array.from({ length: DECISIONS }, () => decisionUs(text)),
  ).slice(1) // the first is for the JIT
  const medians = rounds.map(median)
  const p99s = rounds.map((one) => quantile(one, 0.99))
  return Promise.resolve({
    title: 'Decision',
    goal: `median under ${GOAL_US} µs`,
    measured: `${spread(medians, 1)} µs`,
    verdict: median(medians) < GOAL_US ? 'reached' : 'missed',
    detail: [
      `${ROUNDS} rounds of ${DECISIONS} decisions, each timed alone; p99 ${spread(p99s, 1)} µs.`,
    ],
  })
}

function decisionUs(text: string): number {
  const { request } = JSON.parse(text) as { request: { object: unknown } }
  const startedAt = performance.now()
  const checked = checkPod(request.object)
  if (!checked.success) throw checked.error
  const facts = {
    pod: checked.data,
    namespace: NAMESPACE,
    serviceAccountAnnotations: { 'nocreds.dev/role-arn': ROLE },
    namespaceAnnotations: { 'nocreds.dev/permitted-roles': 'arn:aws:iam::111122223333:role/.*' },
  }
  const { decision } = decideByPodAlone(facts.pod) ?? decidePod(facts, SETTINGS)
  const endedAt = performance.now()
  if (decision !== 'mutated') throw new Error(`the pod was ${decision}`)
  return (endedAt - startedAt) * 1000
}
