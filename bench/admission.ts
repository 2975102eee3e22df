import { alternate, cpuOf, p99Of, rateOf, ratios, table } from './rounds.ts'
import type { Section } from './section.ts'
import { Stage } from './stage.ts'
import { median, spread } from './statistics.ts'

const ROUND_MS = 5000
const PAIRS = { warmUps: 2, pairs: 9 } as const
const GOAL = { rate: 0.9, p99: 1.5 } as const

/** The product's real server beside the least that `node:https` can do for the same patch. */
export function measureAdmission(): Promise<Section> {
  return Stage.with(async (stage) => {
    const [bare, webhook] = [await stage.bare(), await stage.webhook()]
    const pairs = await alternate(
      () => stage.load(bare, ROUND_MS),
      () => stage.load(webhook, ROUND_MS),
      PAIRS,
    )
    const [rates, p99s] = [ratios(pairs, rateOf), ratios(pairs, p99Of)]
    const isReached = median(rates) >= GOAL.rate && median(p99s) <= GOAL.p99
    return {
      title: 'Admission',
      goal: `at least ${GOAL.rate} of the rate of the bare handler, p99 at most ${GOAL.p99} times its`,
      measured: `rate ${spread(rates, 2)}, p99 ${spread(p99s, 2)} times`,
      verdict: isReached ? 'reached' : 'missed',
      detail: [
        `${PAIRS.pairs} pairs of rounds of ${ROUND_MS / 1000} s; ratios are taken within a pair. CPU of the webhook is ${spread(ratios(pairs, cpuOf), 2)} times that of the bare handler.`,
        '',
        ...table({
          'bare `node:https`': pairs.map(({ one }) => one),
          webhook: pairs.map(({ other }) => other),
        }),
      ],
    }
  })
}
