/** `make simulate`: whole fleets on a virtual clock; see RESULTS.md, which it writes, and its pictures. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../../shared/base/errors.ts'
import { buckets } from './figures.ts'
import type { FleetRecord } from './fleet.ts'
import type { Runs } from './goals.ts'
import { ACCOUNTS_A_NODE, runNodes } from './nodes.ts'
import { picturesOf, RESTART_FILE, restartPicture } from './pictures.ts'
import { resultsPage } from './results.ts'
import { BEYOND, run, SCENARIOS, type Scenario } from './scenarios.ts'

const FLEETS = [1, 1000, 10_000, 100_000] as const
const LARGEST = 100_000
const FOLDER = import.meta.dirname

async function main(words: readonly string[]): Promise<void> {
  const seed = seedOf(words)
  const [one, ...others] = FLEETS
  const fleets: [Runs, ...Runs[]] = [runAll(one, seed)]
  for (const pods of others) fleets.push(runAll(pods, seed))
  const beyond = BEYOND.map((scenario) => show(scenario, LARGEST, seed))
  const nodes = ACCOUNTS_A_NODE.map((accounts) => runNodes(accounts, seed))
  const page = resultsPage({ seed, fleets, beyond, nodes })
  const pictures = {
    ...picturesOf(fleets.at(-1) ?? fleets[0], fleets.slice(1, -1)),
    [RESTART_FILE]: restartPicture(nodes),
  }
  await writeFile(join(FOLDER, 'RESULTS.md'), page)
  for (const [file, svg] of Object.entries(pictures)) await writeFile(join(FOLDER, file), svg)
  process.stdout.write(`\n${page}\nwritten to ${FOLDER}\n`)
}

function seedOf(words: readonly string[]): number {
  const [word = '1'] = words
  if (words.length > 1 || !/^\d{1,9}$/.test(word)) {
    throw new UsageError(
      `"${words.join(' ')}" is not a seed: allowed is one whole number, 0–999999999`,
    )
  }
  return Number(word)
}

function runAll(pods: number, seed: number): Runs {
  return {
    healthy: show(SCENARIOS.healthy, pods, seed),
    down10: show(SCENARIOS.down10, pods, seed),
    down40: show(SCENARIOS.down40, pods, seed),
    throttled: show(SCENARIOS.throttled, pods, seed),
  }
}

/** Runs it and prints its calls a second, hour by hour and, around an outage, minute by minute. */
function show(scenario: Scenario, pods: number, seed: number): FleetRecord {
  const record = run(scenario, pods, seed)
  const lines = [`pods ${pods.toLocaleString('en')}: ${scenario.title}; calls/s`]
  lines.push(`  by the hour    ${callsASecond(record, 3600, 0, record.calls.length)}`)
  const { fromMs, toMs } = scenario.outage ?? { fromMs: 0, toMs: 0 }
  const to = toMs / 1000 + 600
  lines.push(`  by the minute  ${callsASecond(record, 60, Math.max(0, fromMs / 1000 - 120), to)}`)
  process.stdout.write(`${lines.join('\n')}\n`)
  return record
}

function callsASecond(record: FleetRecord, seconds: number, from: number, to: number): string {
  const means = buckets(record.calls, seconds, from, to).map((calls) => calls / seconds)
  return means
    .map((mean) => (mean < 10 ? String(Number(mean.toPrecision(2))) : mean.toFixed(0)))
    .join(' ')
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
