import { costOf, count, evennessOf, highest, recoveryOf, startedAfterSeconds } from './figures.ts'
import type { FleetRecord } from './fleet.ts'
import {
  costVerdict,
  evenVerdict,
  lapseVerdict,
  recoveryVerdict,
  type Runs,
  type Verdict,
} from './goals.ts'
import { nodesSection } from './nodes-section.ts'
import type { NodeRuns } from './nodes.ts'
import { fileOf } from './pictures.ts'
import { BEYOND, SCENARIOS, type Scenario } from './scenarios.ts'

export interface Results {
  readonly seed: number
  /** One for each size of fleet, the largest last. */
  readonly fleets: readonly [Runs, ...Runs[]]
  /** In the order of `BEYOND`, of the largest fleet. */
  readonly beyond: readonly FleetRecord[]
  /** With drivers, each for the pods of the largest fleet. */
  readonly nodes: readonly NodeRuns[]
}

const INTRODUCTION = `# The fleet, simulated

No one coordinates the sidecars of a cluster: each decides alone when to call STS. \`make simulate\` runs
their real schedule (\`exchanger/sidecar/schedule.ts\`) on a virtual clock for whole fleets and writes
this page. The same seed gives the same page. A test holds the simulated pod against the real resident,
call by call to the millisecond.

- All pods start within one minute. Credentials are valid for 3600 s unless said otherwise. Each run is a day long,
  and outages begin after 12 hours, when the pods' moments are spread.
- STS throttles as a token bucket of 600 calls a second does; a throttled call is a failed call. Only
  \`healthy\` is without it. In an outage every call fails at once, which gives the most calls.
- A pod without its first credentials within 30 s ends its sidecar, and the kubelet restarts it: at once,
  then after 10, 20, 40, … 300 s.
- Calls take no time. The latency of STS would spread the calls a little more.
`

const RULES = `## The schedule

| when | wait |
|---|---|
| credentials are good | a random moment between a third and two thirds of their lifetime, between 19 and 38 minutes of an hour |
| a call failed, and credentials are still good | half to all of a ceiling that doubles from a sixtieth of what they have left to half of it (at least 2.5, at most 5 minutes) |
| a call failed, and there are none | half to all of a ceiling that doubles from 1 s to 2.5 minutes |

A pod cannot know how large its fleet is, so the longest wait decides how hard 100,000 of them press
on an STS that comes back, and how long one of them waits for it. Pods whose old credentials are
good wait longer and leave room to those that have none. 2.5 minutes keep a fleet in which *nobody* has
any credentials below twice the throttle; half of them have credentials again little more than a minute after STS is back.
`

export function resultsPage({ seed, fleets, beyond, nodes }: Results): string {
  const largest = fleets.at(-1) ?? fleets[0]
  return [
    INTRODUCTION,
    `\`\`\`sh\nmake simulate SEED=${seed}\n\`\`\`\n`,
    '## Goals\n',
    goalTable(
      'busiest minute over the mean after three lifetimes ≤ 1.2, STS healthy',
      fleets,
      (runs) => evenVerdict(runs.healthy),
    ),
    goalTable('the same, STS throttled', fleets, (runs) => evenVerdict(runs.throttled)),
    'Below some 12,000 pods chance decides this one: so few calls come in a minute that the busiest of 1260 minutes\nis far above the mean however well they are spread. The middle column says how far.\n',
    goalTable('STS down for 10 minutes: no pod without valid credentials', fleets, lapseVerdict),
    goalTable(
      'after 40 minutes: at most 1200 calls in any second, everyone served within 600 s',
      fleets,
      recoveryVerdict,
    ),
    goalTable(
      `cost of a pod the same in every fleet, within 5 % (${names().join(' / ')})`,
      fleets,
      (runs) => costVerdict(runs, largest),
    ),
    'This counts from the third lifetime on. The start comes on top (below, "extra calls"): where 100,000 pods start in\none minute they run into the throttle, which costs each of them ten calls more, once.\n',
    RULES,
    '## Pictures\n',
    ...Object.values(SCENARIOS).map((scenario) => `![${scenario.title}](${fileOf(scenario)})\n`),
    '## Figures\n',
    figureTable(fleets),
    outageTable(
      'Outages of the goals',
      fleets.flatMap((runs) => [
        { scenario: SCENARIOS.down10, record: runs.down10 },
        { scenario: SCENARIOS.down40, record: runs.down40 },
      ]),
    ),
    outageTable(
      'Beyond the goals',
      BEYOND.flatMap((scenario, n) => {
        const record = beyond[n]
        return record === undefined ? [] : [{ scenario, record }]
      }),
    ),
    LIMITS,
    nodesSection(largest, nodes),
  ].join('\n')
}

const LIMITS = `What these say:

- **A start of 100,000 pods in one minute** asks for 1667 calls a second, which is above the throttle whatever
  anyone does; pods that have never had credentials retry within seconds, so it makes many failed calls
  and is over soon. Failed calls do not slow those that are answered.
- **Pods that are new while STS is down** are restarted by the kubelet, at the end every 300 s, without
  any chance in it: those that started together come back together, and the throttle serves
  only the first of each wave. That wait is the kubelet's and not the schedule's.
- **Lives of 1800 s** have 27 published minutes, of which SDKs want 15; between 5 and 10 minutes remain to
  refresh in. That costs four times the calls of 3600 s, and an outage of 40 minutes leaves no pod with any.
- **Lives of 43200 s** outlast an outage of 40 minutes.
`

const names = (): string[] => Object.values(SCENARIOS).map(({ name }) => name)

function goalTable(
  goal: string,
  fleets: readonly Runs[],
  verdictOf: (runs: Runs) => Verdict,
): string {
  const rows = fleets.map((runs) => {
    const { pods, measured, verdict } = verdictOf(runs)
    return `| ${count(pods)} | ${measured} | ${verdict} |`
  })
  return `**${goal}**\n\n| pods | measured | verdict |\n|---:|---|---|\n${rows.join('\n')}\n`
}

function figureTable(fleets: readonly Runs[]): string {
  const rows = fleets.flatMap((runs) =>
    (Object.keys(SCENARIOS) as (keyof Runs)[]).map((key) => {
      const record = runs[key]
      const { callsAPodAndHour, extraCallsAtStart } = costOf(record)
      const { meanPerMinute } = evennessOf(record)
      return `| ${[
        count(record.pods),
        SCENARIOS[key].name,
        (meanPerMinute / 60).toFixed(2),
        callsAPodAndHour.toFixed(2),
        extraCallsAtStart.toFixed(1),
        count(highest(record.calls.subarray(0, 3600))),
        `${startedAfterSeconds(record)} s`,
      ].join(' | ')} |`
    }),
  )
  return `| pods | scenario | calls/s after three lifetimes | calls a pod and hour | extra calls a pod for the start | most calls/s in the first hour | all started after |
|---:|---|---:|---:|---:|---:|---:|
${rows.join('\n')}
`
}

interface OutageRun {
  readonly scenario: Scenario
  readonly record: FleetRecord
}

function outageTable(title: string, runs: readonly OutageRun[]): string {
  const rows = runs.flatMap(({ scenario, record }) => {
    if (scenario.outage === undefined) return []
    const recovery = recoveryOf(record, scenario.outage)
    return `| ${[
      count(record.pods),
      scenario.title,
      count(recovery.peakWhileDown),
      count(recovery.peakAfterwards),
      count(recovery.withoutAtReturn),
      `${recovery.halfHaveAfterSeconds} / ${recovery.allHaveAfterSeconds} s`,
      `${recovery.allServedAfterSeconds} s`,
    ].join(' | ')} |`
  })
  return `### ${title}

| pods | scenario | most calls/s while down | afterwards | without credentials at its end | half / all have some after | everyone served after |
|---:|---|---:|---:|---:|---:|---:|
${rows.join('\n')}
`
}
