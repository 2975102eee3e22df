import type { Line } from './statistics.ts'

export interface Plot {
  readonly title: string
  readonly xTitle: string
  readonly yTitle: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Drawn through the points. */
  readonly line: Line
}

const WIDTH = 640
const HEIGHT = 360
const FRAME = { left: 60, right: 20, top: 40, bottom: 50 } as const
const TICKS = 5

/** Points and the line through them, as an SVG that reads on light and dark pages. */
export function plot({ title, xTitle, yTitle, points, line }: Plot): string {
  const most = { x: roundUp(points.map(([x]) => x)), y: roundUp(points.map(([, y]) => y)) }
  const atX = (x: number): string =>
    (FRAME.left + (x / most.x) * (WIDTH - FRAME.left - FRAME.right)).toFixed(1)
  const atY = (y: number): string =>
    (HEIGHT - FRAME.bottom - (y / most.y) * (HEIGHT - FRAME.top - FRAME.bottom)).toFixed(1)
  const lineAt = (x: number): string =>
    atY(Math.min(most.y, Math.max(0, line.intercept + line.slope * x)))
  const ticks = Array.from({ length: TICKS + 1 }, (_one, index) => index / TICKS)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(WIDTH / 2, 22, title, 'middle'),
    text(WIDTH / 2, HEIGHT - 10, xTitle, 'middle'),
    text(10, FRAME.top - 10, yTitle, 'start'),
    ...ticks.map((part) =>
      text(Number(atX(part * most.x)), HEIGHT - 30, label(part * most.x), 'middle'),
    ),
    ...ticks.map((part) =>
      text(FRAME.left - 8, Number(atY(part * most.y)) + 4, label(part * most.y), 'end'),
    ),
    ...ticks.map((part) => {
      const y = atY(part * most.y)
      return `<line x1="${FRAME.left}" y1="${y}" x2="${WIDTH - FRAME.right}" y2="${y}" stroke="#ddd"/>`
    }),
    `<line x1="${atX(0)}" y1="${lineAt(0)}" x2="${atX(most.x)}" y2="${lineAt(most.x)}" stroke="#4477aa"/>`,
    ...points.map(([x, y]) => `<circle cx="${atX(x)}" cy="${atY(y)}" r="4" fill="#cc3311"/>`),
    '</svg>',
    '',
  ].join('\n')
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="#333">${content}</text>`
}

function label(value: number): string {
  return Number(value.toPrecision(3)).toString()
}

/** The next of 1, 2, 5, 10, 20, 50, … that none of the values exceeds. */
function roundUp(values: readonly number[]): number {
  const most = Math.max(...values)
  const power = 10 ** Math.floor(Math.log10(most))
  return ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8].find((step) => step * power >= most) ?? 10) * power
}
