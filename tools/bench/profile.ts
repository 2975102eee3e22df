/** Where the time of a review goes: the webhook's own CPU profile under load. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundlePrograms } from '../build/programs.ts'
import { Harness } from './harness.ts'

const WARM_UP_MS = 6000
const LOAD_MS = 6000

/** As V8 writes it. Source: Chrome DevTools Protocol, Profiler.Profile. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  /** Node ids, and the microseconds between them. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Microseconds of a review that were spent in a function itself, largest first. */
export interface SelfTime {
  readonly name: string
  readonly us: number
}

/** Profiles the product, unminified so that functions have their names. */
export function profileWebhook(): Promise<readonly SelfTime[]> {
  return Harness.with(async (harness) => {
    const [bundles, profiles] = [join(harness.folder, 'bundle'), join(harness.folder, 'profile')]
    await mkdir(profiles)
    await bundlePrograms(bundles, ['webhook.mjs'], { minify: false })
    const moreNodeFlags = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${profiles}`]
    const webhook = await harness.webhook({ moreNodeFlags, bundle: join(bundles, 'webhook.mjs') })
    await harness.load(webhook, WARM_UP_MS)
    const { requests } = await harness.load(webhook, LOAD_MS)
    await webhook.stop()
    const [file = ''] = await readdir(profiles)
    const profile = JSON.parse(await readFile(join(profiles, file), 'utf8')) as CpuProfile
    return selfTimes(profile, { lastMs: LOAD_MS, reviews: requests })
  })
}

/** The last part of a profile, shared out among the reviews in it; waiting is not counted. */
export function selfTimes(
  profile: CpuProfile,
  { lastMs, reviews }: { readonly lastMs: number; readonly reviews: number },
): readonly SelfTime[] {
  const nameOf = new Map(profile.nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]))
  const totalUs = new Map<string, number>()
  let countedUs = 0
  for (let index = profile.samples.length - 1; index >= 0; index -= 1) {
    const us = profile.timeDeltas[index] ?? 0
    const name = nameOf.get(profile.samples[index] ?? 0) ?? ''
    countedUs += us
    if (countedUs > lastMs * 1000) break
    if (name !== '(idle)') totalUs.set(name, (totalUs.get(name) ?? 0) + us)
  }
  return [...totalUs]
    .map(([name, us]) => ({ name, us: us / reviews }))
    .sort((one, other) => other.us - one.us)
}

function frameName({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  const isNode = url.startsWith('node:')
  return `${functionName === '' ? '(anonymous)' : functionName}${isNode ? ` (${url})` : ''}`
}
