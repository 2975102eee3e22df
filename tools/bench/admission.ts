import BEFORE from './baselines/profile-before.json' with { type: 'json' }
import { Harness } from './harness.ts'
import { profileWebhook } from './profile.ts'
import { alternate, cpuOf, p99Of, rateOf, ratios, table, type Pair } from './rounds.ts'
import type { Section } from './section.ts'
import { median, spread } from './statistics.ts'

const ROUND_MS = 5000
const PAIRS = { warmUps: 2, pairs: 11 } as const
const GOAL = { rate: 0.9, p99: 1.5 } as const

/** The product's real server beside the least that `node:https` can do for the same patch. */
export async function measureAdmission(): Promise<Section> {
  const pairs = await measurePairs()
  const [rates, p99s] = [ratios(pairs, rateOf), ratios(pairs, p99Of)]
  const isReached = median(rates) >= GOAL.rate && median(p99s) <= GOAL.p99
  return {
    title: 'Admission',
    goal: `at least ${GOAL.rate} of the rate of the bare handler, p99 at most ${GOAL.p99} times its`,
    measured: `rate ${spread(rates, 2)}, p99 ${spread(p99s, 2)} times`,
    verdict: isReached ? 'reached' : 'missed',
    detail: [
      `${PAIRS.pairs} pairs of rounds of ${ROUND_MS / 1000} s, 16 connections; ratios are taken within a pair. CPU of the webhook is ${spread(ratios(pairs, cpuOf), 2)} times that of the bare handler.`,
      '',
      ...table({
        'bare `node:https`': pairs.map(({ one }) => one),
        webhook: pairs.map(({ other }) => other),
      }),
      '',
      ...(await profileTable()),
    ],
  }
}

function measurePairs(): Promise<readonly Pair[]> {
  return Harness.with(async (harness) => {
    const [bare, webhook] = [await harness.bare(), await harness.webhook()]
    const pairs = await alternate(
      () => harness.load(bare, ROUND_MS),
      () => harness.load(webhook, ROUND_MS),
      PAIRS,
    )
    if (pairs.some(({ one, other }) => one.answer !== other.answer)) {
      throw new Error('the bare handler does not return the same answer')
    }
    return pairs
  })
}

/** Where a review's time goes now, beside where it went before anyone looked. */
async function profileTable(): Promise<string[]> {
  const now = await profileWebhook()
  const total = now.reduce((sum, { us }) => sum + us, 0)
  const rows = BEFORE.top.map((before, index) => {
    const { name, us } = now[index] ?? { name: '', us: 0 }
    return `| ${before.name} | ${before.us.toFixed(1)} | ${name} | ${us.toFixed(1)} |`
  })
  return [
    `Self time by function under the same load, in µs a review, with the profiler's own cost: ${BEFORE.totalUs.toFixed(0)} before (commit ${BEFORE.commit}), ${total.toFixed(0)} now. \`readReview\` is mostly \`JSON.parse\`, \`withPatch\` and \`writeReview\` mostly \`JSON.stringify\`, \`writev\` encryption and the kernel.`,
    '',
    '| before | µs | now | µs |',
    '|---|---|---|---|',
    ...rows,
  ]
}
