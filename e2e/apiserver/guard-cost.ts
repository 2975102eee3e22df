/**
 * `make bench-guard`: what the guard costs the apiserver. Two apiservers run side by side, one with the guard, and each
 * request goes to both in turn; halfway the guard changes sides. Writes e2e/GUARD-COST.md.
 */
import { writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import { hostOf, type Host } from '../support/host.ts'
import { interruption } from '../support/interrupt.ts'
import { REPOSITORY } from '../versions.ts'
import {
  costRequests,
  costRow,
  createNamespaces,
  type Cost,
  type CostRequest,
} from './cost-requests.ts'
import { openHarness, VERSION_VARIABLE, type Harness } from './harness.ts'
import { VERSIONS } from './programs.ts'

/** Of each kind of request, on each side, before and after the change of sides. */
const TIMES = 200
/** Before them; not counted. */
const WARM_UP = 20
/** How long policies and bindings take to be in force, or not, at most. */
const TAKES_EFFECT_MS = 5000

const GUARD = ['--selector', 'app.kubernetes.io/name=nocreds-guard']
const KINDS = 'validatingadmissionpolicies,validatingadmissionpolicybindings'

interface Side {
  readonly harness: Harness
  readonly requests: ReadonlyMap<string, CostRequest>
}

/** An apiserver with the objects of nocreds, and nothing of it that runs: the webhook's part is not measured. */
async function openSide(host: Host): Promise<Side> {
  const harness = await openHarness(host)
  await createNamespaces(harness.api)
  await harness.kubectl(['delete', 'mutatingwebhookconfiguration', 'nocreds'])
  await harness.nocreds.stop()
  const requests = await costRequests(harness.api)
  return { harness, requests: new Map(requests.map((request) => [request.name, request])) }
}

async function setGuard({ kubectl }: Harness, isOn: boolean): Promise<void> {
  if (isOn) await kubectl(['apply', ...GUARD, '-f', join(REPOSITORY, 'manifests', 'install.yaml')])
  else await kubectl(['delete', KINDS, ...GUARD])
}

/** One kind of request, to both sides in turn; who is first changes each time. Gives the cost on each side. */
async function measure(
  harnesses: readonly [Harness, Harness],
  requests: readonly [CostRequest, CostRequest],
): Promise<readonly [Cost, Cost]> {
  const [one, other] = harnesses
  for (let count = 0; count < WARM_UP; count += 1)
    for (const request of requests) await request.send(count)
  const before = [await one.cpuMs(), await other.cpuMs()] as const
  const tookMs: readonly [number[], number[]] = [[], []]
  for (let count = 0; count < TIMES; count += 1)
    for (const which of count % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
      tookMs[which].push(await requests[which].send(count))
  return [
    { tookMs: tookMs[0], cpuMs: (await one.cpuMs()) - before[0] },
    { tookMs: tookMs[1], cpuMs: (await other.cpuMs()) - before[1] },
  ]
}

/** What each kind of request cost, by its name. */
type Costs = Map<string, { readonly without: Cost[]; readonly with: Cost[] }>

async function measureAll(
  guarded: Side,
  bare: Side,
  into: Costs,
  signal: AbortSignal,
): Promise<void> {
  await setGuard(guarded.harness, true)
  await setGuard(bare.harness, false)
  await sleep(realClock, TAKES_EFFECT_MS)
  const harnesses = [guarded.harness, bare.harness] as const
  for (const [name, request] of guarded.requests) {
    signal.throwIfAborted()
    const same = bare.requests.get(name)
    if (same === undefined) throw new Error(`the other side has no request ${name}`)
    const [withGuard, without] = await measure(harnesses, [request, same])
    const costs = into.get(name) ?? { without: [], with: [] }
    costs.with.push(withGuard)
    costs.without.push(without)
    into.set(name, costs)
    guarded.harness.host.progress.say(`measured: ${name}`)
  }
}

const together = (costs: readonly Cost[]): Cost => ({
  tookMs: costs.flatMap(({ tookMs }) => tookMs),
  cpuMs: costs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
})

/** The rows of one version. */
async function measureVersion(host: Host, signal: AbortSignal): Promise<string> {
  const costs: Costs = new Map()
  const one = await openSide(host)
  try {
    const other = await openSide(host)
    try {
      await measureAll(one, other, costs, signal)
      await measureAll(other, one, costs, signal)
    } finally {
      await other.harness.stop()
    }
  } finally {
    await one.harness.stop()
  }
  const rows = [...costs].map(([name, { without, with: withGuard }]) =>
    costRow(name, together(without), together(withGuard)),
  )
  return rows.join('\n')
}

function pageOf(tables: ReadonlyMap<string, string>): string {
  const load = loadavg()[0]?.toFixed(1)
  const sections = [...tables].map(
    ([version, rows]) => `## Kubernetes ${version}

| request | without, ms | with, ms | more, ms | CPU without, ms | CPU with, ms |
|---|---|---|---|---|---|
${rows}
`,
  )
  return `# What the guard costs the apiserver

Written by \`make bench-guard\`, on kube-apiserver and etcd alone. Two apiservers run side by side, one with the policies
and bindings of \`install.yaml\`, one without; each request goes to both in turn, one at a time, and halfway the guard
changes sides. The webhook is left out: its calls cost the same with and without the guard.

Times are medians with p95 in brackets, as the client sees them; "more" is the difference of the medians. CPU is the
processor time of the apiserver for each request, and with "create" for the deletion after it. ${2 * TIMES} requests of each
kind on each side; load of the machine at the end: ${load}.

${sections.join('\n')}`
}

try {
  const signal = interruption()
  const tables = new Map<string, string>()
  for (const version of VERSIONS) {
    const host = hostOf({ ...process.env, [VERSION_VARIABLE]: version }, (line) =>
      process.stdout.write(line),
    )
    tables.set(version, await measureVersion(host, signal))
  }
  const page = pageOf(tables)
  await writeFile(join(REPOSITORY, 'e2e', 'GUARD-COST.md'), page)
  console.log(page)
} catch (error) {
  console.error(`bench-guard: ${messageOf(error)}`)
  process.exitCode = 1
}
