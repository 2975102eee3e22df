import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { growingPod } from './growing-pod.ts'
import { Harness } from './harness.ts'
import { plot } from './plot.ts'
import { podReview, SERVICE_ACCOUNT } from './pod-review.ts'
import type { Running } from './processes.ts'
import type { Section } from './section.ts'
import { lineThrough, median, spread, type Line } from './statistics.ts'

const CONTAINERS = [1, 10, 20, 40, 60, 80, 100] as const
const KILOBYTES = [0, 100, 200, 400, 600, 800, 1000] as const
/** The pods that grow in bytes have ten containers, so that their count plays no part. */
const CONTAINERS_OF_BYTES = 10
const ROUNDS = 5
const ROUND_MS = 700
/** How well a straight line must explain the points: the part of their variance. */
const GOAL_FIT = 0.97

interface Point {
  /** Containers, or kB of the review. */
  readonly x: number
  readonly body: string
  /** Milliseconds, the median of each round. */
  readonly medians: number[]
}

/**
 * One review at a time on one connection: what a pod's author waits for. Writes the pictures beside
 * this file.
 */
export function measureGrowth(): Promise<Section> {
  return Harness.with(async (harness) => {
    const webhook = await harness.webhook()
    const byContainers = CONTAINERS.map((count) => pointOf(count, bodyOf(count, 0)))
    const byBytes = KILOBYTES.map((kilobytes) => {
      const body = bodyOf(CONTAINERS_OF_BYTES, (kilobytes * 1000) / CONTAINERS_OF_BYTES)
      return pointOf(Buffer.byteLength(body) / 1000, body)
    })
    await harness.load(webhook, 5000)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const point of [...byContainers, ...byBytes]) await measure(harness, webhook, point)
    }
    return sectionOf(byContainers, byBytes)
  })
}

function bodyOf(containers: number, paddingBytes: number): string {
  const pod = growingPod(containers, Math.round(paddingBytes), SERVICE_ACCOUNT)
  return JSON.stringify(podReview(pod))
}

function pointOf(x: number, body: string): Point {
  return { x, body, medians: [] }
}

async function measure(
  harness: Harness,
  webhook: Running,
  { body, medians }: Point,
): Promise<void> {
  const { latenciesMs } = await harness.load(webhook, ROUND_MS, { body, connections: 1 })
  medians.push(median(latenciesMs))
}

async function sectionOf(
  byContainers: readonly Point[],
  byBytes: readonly Point[],
): Promise<Section> {
  const perContainer = await draw('containers', byContainers)
  const perKilobyte = await draw('kB', byBytes)
  const isReached = perContainer.fit >= GOAL_FIT && perKilobyte.fit >= GOAL_FIT
  const us = ({ slope }: Line): string => (slope * 1000).toFixed(1)
  return {
    title: 'Growth',
    goal: `linear from 1 to 100 containers and from 1 kB to 1 MB: a straight line explains at least ${GOAL_FIT} of the variance`,
    measured: `${us(perContainer)} µs a container (${perContainer.fit.toFixed(3)} explained), ${us(perKilobyte)} µs a kB (${perKilobyte.fit.toFixed(3)} explained)`,
    verdict: isReached ? 'reached' : 'missed',
    detail: [
      `${ROUNDS} rounds of ${ROUND_MS} ms for each size, on one connection.`,
      '',
      '| containers | kB | ms |',
      '|---|---|---|',
      ...byContainers.map(({ x, body, medians }) => rowOf(x, body, medians)),
      ...byBytes.map(({ body, medians }) => rowOf(CONTAINERS_OF_BYTES, body, medians)),
      '',
      '![time by containers](growth-containers.svg)',
      '![time by kB](growth-kB.svg)',
    ],
  }
}

/** Writes the picture and returns the line in it. */
async function draw(unit: 'containers' | 'kB', points: readonly Point[]): Promise<Line> {
  const places = points.map(({ x, medians }) => [x, median(medians)] as const)
  const line = lineThrough(places)
  const title = `Admission time by ${unit}`
  const svg = plot({ title, xTitle: unit, yTitle: 'ms', points: places, line })
  await writeFile(join(import.meta.dirname, `growth-${unit}.svg`), svg)
  return line
}

function rowOf(containers: number, body: string, medians: readonly number[]): string {
  const kilobytes = (Buffer.byteLength(body) / 1000).toFixed(1)
  return `| ${containers} | ${kilobytes} | ${spread(medians, 2)} |`
}
