/**
 * `npm run e2e-start-time`, on a cluster that `npm run e2e-up` brought up: how much later an app starts with
 * nocreds than the same pod without it. Writes START-TIME.md.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { realClock, sleep } from '../shared/base/clock.ts'
import { median, spread } from '../tools/bench/statistics.ts'
import { uninstallDriver } from './cluster/install.ts'
import { openDriverSuite } from './support/driver.ts'
import { closeSuite, createTeam, podSpec, type Suite, type Team } from './support/suite.ts'
import { IMAGES } from './versions.ts'

const ROUNDS = 11
const CASES = {
  'without nocreds': { 'nocreds.dev/inject': 'false' },
  'sidecar, process': { 'nocreds.dev/delivery': 'process' },
  'sidecar, endpoint': { 'nocreds.dev/delivery': 'endpoint' },
  driver: { 'nocreds.dev/exchanger': 'driver' },
} satisfies Readonly<Record<string, Readonly<Record<string, string>>>>
/** Most that the median may be above the same pod without nocreds. */
const GOAL_MS: Readonly<Record<keyof typeof CASES, number>> = {
  'without nocreds': 0,
  'sidecar, process': 500,
  'sidecar, endpoint': 500,
  driver: 60,
}
type Case = keyof typeof CASES

/** Milliseconds from the creation of a pod to the first action of its app, which says what time it is. */
async function startMs(
  { kubectl }: Suite,
  team: Team,
  round: number,
  which: Case,
): Promise<number> {
  const name = `start-${round}-${Object.keys(CASES).indexOf(which)}`
  const metadata = { name, namespace: team.namespace, annotations: CASES[which] }
  const app = { name: 'app', image: IMAGES.node, command: ['date', '+%s%3N'] }
  const spec = { ...podSpec(app), restartPolicy: 'Never' }
  const createdMs = realClock.now()
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  const inNamespace = ['--namespace', team.namespace]
  const succeeded = ['--for=jsonpath={.status.phase}=Succeeded', '--timeout=120s', ...inNamespace]
  await kubectl(['wait', `pod/${name}`, ...succeeded])
  const said = await kubectl(['logs', name, '--container', 'app', ...inNamespace])
  await kubectl(['delete', 'pod', name, '--wait=false', ...inNamespace])
  await sleep(realClock, 1000) // its end is not the next one's start
  return Number(said) - createdMs
}

const suite = await openDriverSuite('start-time')
const team = await createTeam(suite, 'team')
const cases = Object.keys(CASES) as Case[]
const tookMs = new Map<Case, number[]>(cases.map((one) => [one, []]))
for (let round = 0; round < ROUNDS; round += 1)
  for (const one of cases) tookMs.get(one)?.push(await startMs(suite, team, round, one))
await closeSuite(suite)
await uninstallDriver(suite.host)

const bareMs = median(tookMs.get('without nocreds') ?? [])
const rows = cases.map((one) => {
  const values = tookMs.get(one) ?? []
  const moreMs = median(values) - bareMs
  const goalMs = GOAL_MS[one]
  const verdict = moreMs <= goalMs ? 'reached' : 'missed'
  const outcome = goalMs === 0 ? '| | |' : `| ${moreMs} | at most ${goalMs}: ${verdict} |`
  return `| ${one} | ${spread(values)} ${outcome}`
})
const page = `# From a pod's creation to its app

Written by \`npm run e2e-start-time\` on the kind cluster of the suite. How much later an app starts
than in the same pod without nocreds. Medians of ${ROUNDS} pods each, in turn, with the least and the most in brackets.

| served by | ms | more | goal |
|---|---|---|---|
${rows.join('\n')}

With the sidecar, the exchange itself takes about 200 ms. The rest is the kubelet's: it starts one container more, and an app only
after the sidecar's startup probe, which it asks once a second. Without the probe it is 900 ms less, but then a busy
node may start an app after a gate that failed (ARCHITECTURE.md).
`
await writeFile(join(import.meta.dirname, 'START-TIME.md'), page)
console.log(page)
