import { describe, expect, test } from '@jest/globals'
import { plot } from './plot.ts'
import { results, summary, type Machine } from './report.ts'
import type { Section } from './section.ts'
import { lineThrough } from './statistics.ts'

const SECTION: Section = {
  title: 'Idle cost',
  goal: 'under 1 %',
  measured: '0.5 %',
  verdict: 'reached',
  detail: ['| a |', '|---|', '| 1 |'],
}
const MACHINE: Machine = {
  cpu: 'a CPU',
  cores: 2,
  memoryGb: 25.3,
  system: 'Linux 6',
  node: '24.0.0',
  v8: '13',
  openssl: '3',
  nocreds: '0.1.0',
}

describe('the page', () => {
  const page = results(MACHINE, [SECTION, { ...SECTION, title: 'Other', verdict: 'missed' }])

  test('has a row for each goal, with a link to its details', () => {
    expect(page).toContain('| [Idle cost](#idle-cost) | under 1 % | 0.5 % | **reached** |')
    expect(page).toContain('| [Other](#other) | under 1 % | 0.5 % | **missed** |')
    expect(page).toContain('\n## Idle cost\n\n| a |\n|---|\n| 1 |\n')
  })

  test('names machine, versions and command', () => {
    for (const part of ['a CPU, 2 cores, 25 GB, Linux 6', 'Node 24.0.0', '`make bench`']) {
      expect(page).toContain(part)
    }
  })

  test('on a terminal a section says goal, figure and verdict', () => {
    const text = summary(SECTION)
    expect(text).toBe('Idle cost: reached\n  goal      under 1 %\n  measured  0.5 %\n')
  })
})

describe('a plot', () => {
  const points = [[0, 1], [50, 2], [100, 3]] as const // prettier-ignore
  const svg = plot({ title: 't', xTitle: 'x', yTitle: 'y', points, line: lineThrough(points) })
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ])

  test('has each point, further right and higher as its values grow', () => {
    expect(circles).toHaveLength(3)
    for (const [index, [x = 0, y = 0]] of circles.entries()) {
      const [lastX = 0, lastY = 1000] = circles[index - 1] ?? []
      expect(x).toBeGreaterThan(lastX)
      expect(y).toBeLessThan(lastY)
    }
  })

  test('its line goes through points that are in line', () => {
    const [, y1, y2] = /y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)" stroke="#4477aa"/.exec(svg) ?? []
    expect(Number(y1)).toBeCloseTo(circles[0]?.[1] ?? 0, 0)
    expect(Number(y2)).toBeCloseTo(circles[2]?.[1] ?? 0, 0)
  })
})
