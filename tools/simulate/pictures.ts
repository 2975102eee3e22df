import { svgOf, type Panel } from './chart.ts'
import { buckets, evennessOf, steadyFromSecond } from './figures.ts'
import type { FleetRecord } from './fleet.ts'
import type { Runs } from './goals.ts'
import { NODES, RESTART_MS, type NodeRuns } from './nodes.ts'
import { SCENARIOS, THROTTLE, type Scenario } from './scenarios.ts'
import type { Outage } from './sts.ts'

const BLUE = '#1f5fa8'
const ORANGE = '#c96a00'
const GREEN = '#3a8a3a'
const MINUTE_SECONDS = 60
const ZOOM_SECONDS = 5
const LIMIT = { value: THROTTLE.perSecond, label: 'throttle: 600 calls/s' } as const

/** Files by name, from the records of the largest fleet and of smaller ones. */
export function picturesOf(largest: Runs, smaller: readonly Runs[]): Record<string, string> {
  const { healthy, down10, down40, throttled } = largest
  return {
    [fileOf(SCENARIOS.healthy)]: draw(SCENARIOS.healthy, [
      wholeDay(healthy, SCENARIOS.healthy),
      evenness([...smaller.map((runs) => runs.healthy), healthy]),
    ]),
    [fileOf(SCENARIOS.down10)]: drawOutage(down10, SCENARIOS.down10),
    [fileOf(SCENARIOS.down40)]: drawOutage(down40, SCENARIOS.down40),
    [fileOf(SCENARIOS.throttled)]: draw(SCENARIOS.throttled, [
      wholeDay(throttled, SCENARIOS.throttled),
      ...closeUp(throttled, 0, 300),
    ]),
  }

  function draw({ title }: Scenario, panels: readonly Panel[]): string {
    return svgOf(`${healthy.pods.toLocaleString('en')} pods: ${title}`, panels)
  }

  function drawOutage(record: FleetRecord, scenario: Scenario & { outage: Outage }): string {
    const { outage } = scenario
    const shade = {
      fromSecond: outage.fromMs / 1000,
      toSecond: outage.toMs / 1000,
      label: 'STS is down',
    }
    const [from, to] = [shade.fromSecond - 300, shade.toSecond + 900]
    const panels = closeUp(record, from, to).map((panel) => ({ ...panel, shade }))
    return draw(scenario, [wholeDay(record, scenario), ...panels])
  }
}

export const RESTART_FILE = 'drivers-restarted.svg'

/** Calls a second around the moment at which all drivers are restarted. */
export function restartPicture(nodes: readonly NodeRuns[]): string {
  const from = RESTART_MS / 1000 - 1800
  const to = RESTART_MS / 1000 + 3 * 3600
  const lines = nodes.map(({ accounts, restarted }, n) => ({
    label: `${accounts} ServiceAccount${accounts === 1 ? '' : 's'} a node`,
    colour: [BLUE, GREEN][n] ?? ORANGE,
    values: buckets(restarted.calls, MINUTE_SECONDS, from, to).map(
      (calls) => calls / MINUTE_SECONDS,
    ),
  }))
  const title = 'calls a second, means of a minute; all drivers are restarted at 12:00'
  return svgOf(`${NODES.toLocaleString('en')} nodes with drivers`, [
    { title, fromSecond: from, toSecond: to, lines },
  ])
}

export function fileOf({ name }: Scenario): string {
  return `${name}.svg`
}

/** Calls a second of each minute of the run. The start, which is far above, is cut off. */
function wholeDay(record: FleetRecord, { outage }: Scenario): Panel {
  const values = buckets(record.calls, MINUTE_SECONDS).map((calls) => calls / MINUTE_SECONDS)
  const top = outage === undefined ? (4 * record.pods) / 1800 : 2 * THROTTLE.perSecond
  return {
    title: 'calls a second, means of a minute (the start is cut off)',
    fromSecond: 0,
    toSecond: record.calls.length,
    lines: [{ label: 'all calls', colour: BLUE, values }],
    top,
    ...(outage === undefined ? {} : { limit: LIMIT }),
  }
}

/** Calls of each minute over their mean, after three lifetimes. */
function evenness(records: readonly FleetRecord[]): Panel {
  const [record] = records
  if (record === undefined) throw new RangeError('no records to draw')
  const fromSecond = steadyFromSecond(record)
  return {
    title: 'calls of a minute over their mean, after three lifetimes',
    fromSecond,
    toSecond: record.calls.length,
    lines: records.map((one, n) => ({
      label: `${one.pods.toLocaleString('en')} pods`,
      colour: ['#ccc', GREEN, BLUE][n] ?? ORANGE,
      values: buckets(one.calls, MINUTE_SECONDS, fromSecond).map(
        (calls) => calls / evennessOf(one).meanPerMinute,
      ),
    })),
    limit: { value: 1.2, label: 'goal: 1.2' },
  }
}

function closeUp(record: FleetRecord, from: number, to: number): Panel[] {
  const perSecond = (series: FleetRecord['calls']): number[] =>
    buckets(series, ZOOM_SECONDS, from, to).map((calls) => calls / ZOOM_SECONDS)
  const calls = perSecond(record.calls)
  const failed = perSecond(record.failedCalls)
  const span = { fromSecond: from, toSecond: to }
  const pods = (series: FleetRecord['without']): number[] =>
    buckets(series, ZOOM_SECONDS, from, to).map((sum) => sum / ZOOM_SECONDS)
  return [
    {
      title: `calls a second, means of ${ZOOM_SECONDS} s`,
      ...span,
      lines: [
        { label: 'all calls', colour: BLUE, values: calls },
        {
          label: 'answered',
          colour: GREEN,
          values: calls.map((all, n) => all - (failed[n] ?? 0)),
        },
      ],
      limit: LIMIT,
    },
    {
      title: 'pods',
      ...span,
      lines: [
        { label: 'last call failed', colour: ORANGE, values: pods(record.unserved) },
        { label: 'no valid credentials', colour: BLUE, values: pods(record.without) },
      ],
    },
  ]
}
