import { alternate, p99Ratios, ratesRatios, row, ROW_HEAD } from './rounds.ts'
import type { Section } from './section.ts'
import { Stage } from './stage.ts'
import { median, spread } from './statistics.ts'

const ROUND_MS = 6000
const GOAL = { rate: 0.9, p99: 1.5 } as const

/** The product's real server beside the least that `node:https` can do for the same patch. */
export function measureAdmission(): Promise<Section> {
  return Stage.with(async (stage) => {
    const bare = await stage.bare()
    const webhook = await stage.webhook()
    const pairs = await alternate(
      () => stage.load(bare, ROUND_MS),
      () => stage.load(webhook, ROUND_MS),
      { warmUps: 2, rounds: 7 },
    )
    const rates = ratesRatios(pairs)
    const p99s = p99Ratios(pairs)
    const isReached = median(rates) >= GOAL.rate && median(p99s) <= GOAL.p99
    return {
      title: 'Admission',
      goal: `at least ${GOAL.rate} of the bare handler's rate; p99 at most ${GOAL.p99} times its`,
      measured: `rate ${spread(rates, 'times', 2)}, p99 ${spread(p99s, 'times', 2)}`,
      verdict: isReached ? 'reached' : 'missed',
      detail: [
        `${pairs.length} pairs of rounds of ${ROUND_MS / 1000} s, one server after the other; ratios are taken within a pair. Median (least–most).`,
        '',
        ...ROW_HEAD,
        row(
          'bare `node:https`',
          pairs.map(({ one }) => one),
        ),
        row(
          'webhook',
          pairs.map(({ other }) => other),
        ),
      ],
    }
  })
}
