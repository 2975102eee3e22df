/** The committed page and its pictures are what the code says now. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { svgOf } from './chart.ts'
import type { Runs } from './goals.ts'
import { ACCOUNTS_A_NODE, runNodes } from './nodes.ts'
import { fileOf, picturesOf, RESTART_FILE, restartPicture } from './pictures.ts'
import { resultsPage } from './results.ts'
import { run, SCENARIOS } from './scenarios.ts'

const read = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8')
const PAGE = read('RESULTS.md')

function runsOf(pods: number, seed: number): Runs {
  return {
    healthy: run(SCENARIOS.healthy, pods, seed),
    down10: run(SCENARIOS.down10, pods, seed),
    down40: run(SCENARIOS.down40, pods, seed),
    throttled: run(SCENARIOS.throttled, pods, seed),
  }
}

describe('RESULTS.md', () => {
  const seed = Number(/SEED=(\d+)/.exec(PAGE)?.[1])
  const small = [1, 50].map((pods) => runsOf(pods, seed)) as [Runs, Runs]

  test('has the rules and the rows of a fleet of one that follow from the schedule', () => {
    const page = resultsPage({ seed, fleets: [small[0]], beyond: [], nodes: [] })
    const [head = '', rest = ''] = page.split('## Figures')
    // Words, and the rows of the smallest fleet; how far it is from the largest fleet is not in them.
    const lines = `${head}\n${rest}`.split('\n').filter((line) => !line.includes('largest fleet'))
    expect(lines.length).toBeGreaterThan(60)
    for (const line of lines) expect(PAGE).toContain(line)
  })

  test('has a verdict for each goal and fleet, and every picture', () => {
    for (const pods of ['1', '1,000', '10,000', '100,000']) {
      expect(PAGE.split('\n').filter((line) => line.startsWith(`| ${pods} |`)).length).toBe(
        5 + 4 + 2 + (pods === '100,000' ? 6 : 0),
      )
    }
    for (const file of Object.values(SCENARIOS).map(fileOf)) {
      expect(PAGE).toContain(`(${file})`)
      expect(read(file)).toMatch(/^<svg .*<\/svg>\n$/s)
    }
  })

  test('pictures: the same files, and every value in them is a number', () => {
    const pictures = picturesOf(small[1], [small[0]])
    expect(Object.keys(pictures).sort()).toEqual(Object.values(SCENARIOS).map(fileOf).sort())
    for (const svg of Object.values(pictures)) expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('drivers: a row for each number of ServiceAccounts, and a picture', () => {
    const [, section = ''] = PAGE.split('## With drivers')
    const rows = section.split('\n').filter((line) => line.startsWith('| driver, '))
    expect(rows).toHaveLength(ACCOUNTS_A_NODE.length)
    expect(PAGE).toContain(`(${RESTART_FILE})`)
    expect(read(RESTART_FILE)).toMatch(/^<svg .*<\/svg>\n$/s)
    expect(restartPicture([runNodes(1, seed, 5)])).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('drivers: the smallest row follows from the schedule', () => {
    const nodes = [runNodes(1, seed)]
    const page = resultsPage({ seed, fleets: [small[0]], beyond: [], nodes })
    const row = page.split('\n').find((line) => line.startsWith('| driver, 1 '))
    expect(PAGE).toContain(row)
  })
})

test('a chart: lines from left to right, 0 at the bottom, cut at the top', () => {
  const values = [0, 50, 100, 1000]
  const lines = [{ label: 'a', colour: '#000', values }]
  const svg = svgOf('t', [{ title: 'p', fromSecond: 0, toSecond: 3600, lines, top: 100 }])
  const points = /points="([^"]*)"/
    .exec(svg)![1]!
    .split(' ')
    .map((one) => one.split(',').map(Number))
  const [xs, ys] = [0, 1].map((n) => points.map((point) => point[n]!)) as [number[], number[]]
  expect(xs).toEqual([...xs].sort((a, b) => a - b))
  expect(ys[1]).toBe(ys[0]! / 2)
  expect(ys.slice(2)).toEqual([0, 0])
  expect(svg).toContain('>0:30<')
})
