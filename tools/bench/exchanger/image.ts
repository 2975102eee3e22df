import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundlePrograms } from '../../build/programs.ts'
import type { Section } from '../section.ts'

const GOAL_MB = { exchanger: 3, webhook: 12, authority: 12 } as const
const BYTES_PER_MB = 1e6

/** The Dockerfile copies the bundles and sets variables: nothing else is in the images. */
export async function measureImages(): Promise<Section> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
  try {
    const bundles = await bundlePrograms(folder)
    const megabytes = (isIn: (program: string) => boolean): number =>
      bundles
        .filter(({ program }) => isIn(program))
        .reduce((sum, { bytes }) => sum + bytes / BYTES_PER_MB, 0)
    const webhook = megabytes((program) => program === 'webhook.mjs')
    const authority = megabytes((program) => program === 'authority.mjs')
    const exchanger = megabytes((program) => !['webhook.mjs', 'authority.mjs'].includes(program))
    const isReached =
      webhook <= GOAL_MB.webhook && authority <= GOAL_MB.authority && exchanger <= GOAL_MB.exchanger
    return {
      title: 'What the images add to Node',
      goal: `exchanger ≤ ${GOAL_MB.exchanger} MB, webhook ≤ ${GOAL_MB.webhook} MB, authority ≤ ${GOAL_MB.authority} MB`,
      measured: `exchanger ${exchanger.toFixed(2)} MB, webhook ${webhook.toFixed(2)} MB, authority ${authority.toFixed(2)} MB`,
      verdict: isReached ? 'reached' : 'missed',
      detail: bundles.map(({ program, bytes }) => `${program}: ${bytes} bytes`),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
