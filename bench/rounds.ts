import { median, quantile, spread } from './statistics.ts'
import type { LoadResult } from './load.ts'

/** One pair of rounds: the two servers one after the other, so that both see the same neighbours. */
export interface Pair {
  readonly one: LoadResult
  readonly other: LoadResult
}

/**
 * Rounds A/B, B/A, A/B, …: whatever else the machine does falls on both alike, and neither always
 * comes first. The rounds before are not counted: they let the JIT compile what is hot.
 */
export async function alternate(
  one: () => Promise<LoadResult>,
  other: () => Promise<LoadResult>,
  { warmUps, rounds }: { readonly warmUps: number; readonly rounds: number },
): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (let round = -warmUps; round < rounds; round += 1) {
    const isOneFirst = round % 2 === 0
    const first = await (isOneFirst ? one : other)()
    const second = await (isOneFirst ? other : one)()
    if (round < 0) continue
    pairs.push(isOneFirst ? { one: first, other: second } : { one: second, other: first })
  }
  return pairs
}

/** Of the second server to the first, in each pair. */
export function ratesRatios(pairs: readonly Pair[]): number[] {
  return pairs.map(({ one, other }) => other.perSecond / one.perSecond)
}

export function p99Ratios(pairs: readonly Pair[]): number[] {
  return pairs.map(({ one, other }) => p99(other) / p99(one))
}

export function p99({ latenciesMs }: LoadResult): number {
  return quantile(latenciesMs, 0.99)
}

/** A row of the table that stands under a section. */
export function row(name: string, results: readonly LoadResult[]): string {
  const rates = results.map(({ perSecond }) => perSecond)
  const p50s = results.map(({ latenciesMs }) => median(latenciesMs))
  const cells = [name, spread(rates, '', 0), spread(p50s, '', 2), spread(results.map(p99), '', 1)]
  return `| ${cells.join(' | ')} |`
}

export const ROW_HEAD: readonly string[] = [
  '| server | reviews/s | p50 ms | p99 ms |',
  '|---|---|---|---|',
]
