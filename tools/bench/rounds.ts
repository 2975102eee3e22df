import type { Round } from './harness.ts'
import { median, quantile, spread } from './statistics.ts'

/** Two rounds, one right after the other, so that whatever else the machine does falls on both. */
export interface Pair {
  readonly one: Round
  readonly other: Round
}

/**
 * Rounds A/B, B/A, A/B, …, so that neither always comes first. The pairs before are not counted: they
 * let the JIT compile what is hot.
 */
export async function alternate(
  one: () => Promise<Round>,
  other: () => Promise<Round>,
  { warmUps, pairs: count }: { readonly warmUps: number; readonly pairs: number },
): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (let round = -warmUps; round < count; round += 1) {
    const isOneFirst = round % 2 === 0
    const first = await (isOneFirst ? one : other)()
    const second = await (isOneFirst ? other : one)()
    if (round < 0) continue
    pairs.push(isOneFirst ? { one: first, other: second } : { one: second, other: first })
  }
  return pairs
}

/** What the second server is of the first, in each pair. */
export function ratios(pairs: readonly Pair[], of: (round: Round) => number): number[] {
  return pairs.map(({ one, other }) => of(other) / of(one))
}

export const rateOf = (round: Round): number => round.perSecond
export const p99Of = (round: Round): number => quantile(round.latenciesMs, 0.99)
const p50Of = (round: Round): number => median(round.latenciesMs)
export const cpuOf = (round: Round): number => round.cpuUsPerReview

/** The table under a section: a row for each server, median and spread of its rounds. */
export function table(servers: Readonly<Record<string, readonly Round[]>>): string[] {
  const rows = Object.entries(servers).map(([name, rounds]) => {
    const cells = [
      name,
      spread(rounds.map(rateOf), 0),
      spread(rounds.map(p50Of), 2),
      spread(rounds.map(p99Of), 1),
      spread(rounds.map(cpuOf), 0),
    ]
    return `| ${cells.join(' | ')} |`
  })
  return [
    '| server | reviews/s | p50 ms | p99 ms | CPU µs a review |',
    '|---|---|---|---|---|',
    ...rows,
  ]
}
