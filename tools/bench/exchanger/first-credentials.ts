import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { bundle } from '../../build/programs.ts'
import type { Section } from '../section.ts'
import { median, spread } from '../statistics.ts'
import { withHarness } from './harness.ts'
import type { Loopback, LoopbackPod } from './loopback.ts'

const GOAL = { medianMs: 350, ratio: 1.5 } as const
const BARE = 'tools/bench/exchanger/bare-oneshot.ts'

type ByName<T> = Readonly<Record<'sidecar' | 'gate' | 'bare' | 'node', T>>

/** What is started, and what it prints once it is there. */
interface Contestant {
  readonly words: readonly string[]
  readonly says: string
  /** In place of what the image sets. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * From the start of a process to credentials: the sidecar's, and that of a bare one-shot. They take
 * turns; the first round warms the file cache and does not count.
 */
export function measureFirstCredentials(rounds = 21): Promise<Section> {
  return withHarness(async ({ folder, loopback, exchanger }) => {
    await bundle(BARE, join(folder, 'bare.mjs'))
    const plainNode = { NODE_OPTIONS: '' }
    const contestants: ByName<Contestant> = {
      sidecar: { words: [exchanger, 'run'], says: '"credentials published"' },
      gate: { words: [exchanger, 'run'], says: '"credentials published"' },
      bare: { words: [join(folder, 'bare.mjs')], says: '}\n', env: plainNode },
      node: { words: ['--print', '"}"'], says: '}\n', env: plainNode },
    }
    const tookMs: ByName<number[]> = { sidecar: [], gate: [], bare: [], node: [] }
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of ['sidecar', 'bare', 'node', 'gate'] as const) {
        const ms = await timed(loopback, contestants[name], name === 'gate' ? exchanger : undefined)
        if (round > 0) tookMs[name].push(ms)
      }
    }
    return sectionOf(tookMs, rounds)
  })
}

function sectionOf(tookMs: ByName<readonly number[]>, rounds: number): Section {
  const ms = median(tookMs.sidecar)
  const ratios = tookMs.sidecar.map((sidecarMs, round) => sidecarMs / (tookMs.bare[round] ?? NaN))
  const ratio = median(ratios)
  return {
    title: 'First credentials',
    goal: `median ≤ ${GOAL.medianMs} ms, ≤ ${GOAL.ratio} × a bare one-shot`,
    measured: `${ms.toFixed(0)} ms, ${ratio.toFixed(2)} × the bare one-shot`,
    verdict: ms <= GOAL.medianMs && ratio <= GOAL.ratio ? 'reached' : 'missed',
    detail: [
      `medians (and range) of ${rounds} rounds, each contestant in turn, against an STS on loopback over TLS`,
      `sidecar, from its start to published: ${spread(tookMs.sidecar)} ms`,
      `bare one-shot, from its start to the answer printed: ${spread(tookMs.bare)} ms`,
      `ratio of the two in the same round: ${spread(ratios, 2)}`,
      `Node that prints a word: ${spread(tookMs.node)} ms; the sidecar starts two of it, one after the other`,
      `sidecar with its gate started beside it, to the gate's end: ${spread(tookMs.gate)} ms`,
    ],
  }
}

/** Milliseconds until it said so; with a gate, until that has ended, too. */
async function timed(
  loopback: Loopback,
  contestant: Contestant,
  gate: string | undefined,
): Promise<number> {
  const pod = await loopback.pod({ delivery: 'process' })
  const started = performance.now()
  const child = start(contestant, pod)
  const ended = once(child, 'close')
  try {
    await Promise.all([hasSaid(child, contestant.says), gate === undefined ? 0 : opened(gate, pod)])
    return performance.now() - started
  } finally {
    child.kill('SIGKILL')
    await ended
    await pod.remove()
  }
}

function start({ words, env }: Contestant, pod: LoopbackPod) {
  return spawn(process.execPath, words, {
    env: { ...pod.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function hasSaid(child: ReturnType<typeof start>, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      said += more
      if (said.includes(text)) resolve()
    })
    child.once('close', (code) => {
      reject(new Error(`ended with ${code ?? 'a signal'} before it said ${text}`))
    })
  })
}

async function opened(program: string, { env }: LoopbackPod): Promise<void> {
  const gate = spawn(process.execPath, [program, 'wait'], { env, stdio: 'inherit' })
  const [code] = (await once(gate, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the gate ended with ${code ?? 'a signal'}`)
}
