/** A small writer of line charts as SVG, panels one below the other. */

interface Line {
  readonly label: string
  readonly colour: string
  /** Evenly spaced over the panel's span. */
  readonly values: readonly number[]
}

export interface Panel {
  /** What stands on the vertical axis. */
  readonly title: string
  readonly fromSecond: number
  readonly toSecond: number
  readonly lines: readonly Line[]
  /** Values above are cut; as high as the highest if not given. */
  readonly top?: number
  readonly limit?: { readonly value: number; readonly label: string }
  readonly shade?: {
    readonly fromSecond: number
    readonly toSecond: number
    readonly label: string
  }
}

const WIDTH = 900
const PANEL_HEIGHT = 220
/** Around the lines of a panel. */
const SPACE = { left: 64, right: 16, above: 42, below: 26 } as const
const INNER = {
  width: WIDTH - SPACE.left - SPACE.right,
  height: PANEL_HEIGHT - SPACE.above - SPACE.below,
} as const
const HEADING_HEIGHT = 34
const GREY = '#666'
/** Steps of the horizontal axis, in seconds. */
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200] as const

export function svgOf(title: string, panels: readonly Panel[]): string {
  const height = HEADING_HEIGHT + panels.length * PANEL_HEIGHT
  const drawn = panels.map((panel, n) => {
    const y = HEADING_HEIGHT + n * PANEL_HEIGHT + SPACE.above
    return `<g transform="translate(${SPACE.left} ${y})">\n${drawPanel(panel)}\n</g>`
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(SPACE.left, 22, title, 'font-size="15" font-weight="bold"'),
    ...drawn,
    '</svg>',
  ].join('\n')}\n`
}

function drawPanel(panel: Panel): string {
  const { title, fromSecond, toSecond, lines, limit, shade } = panel
  const highest = Math.max(limit?.value ?? 0, ...lines.flatMap(({ values }) => values))
  const top = roundUp(panel.top ?? highest)
  const x = (second: number): number =>
    round(((second - fromSecond) / (toSecond - fromSecond)) * INNER.width)
  const y = (value: number): number => round(INNER.height * (1 - Math.min(value, top) / top))
  const parts: string[] = []
  if (shade !== undefined) {
    const [from, to] = [x(shade.fromSecond), x(shade.toSecond)]
    parts.push(
      `<rect x="${from}" width="${round(to - from)}" height="${INNER.height}" fill="#f6dede"/>`,
      text(from + 4, 14, shade.label, 'fill="#a33"'),
    )
  }
  for (const value of [0, top / 2, top]) {
    parts.push(
      across(y(value), '#ddd'),
      text(-6, y(value) + 4, value.toLocaleString('en'), `fill="${GREY}" text-anchor="end"`),
    )
  }
  parts.push(...timeAxis(fromSecond, toSecond, x))
  if (limit !== undefined) {
    parts.push(
      across(y(limit.value), '#c00', ' stroke-dasharray="5 4"'),
      text(INNER.width - 4, y(limit.value) - 4, limit.label, 'fill="#c00" text-anchor="end"'),
    )
  }
  parts.push(...lines.map(({ colour, values }) => polyline(values, colour, y)))
  return [text(0, -24, title, 'font-weight="bold"'), ...legend(lines), ...parts].join('\n')
}

function timeAxis(from: number, to: number, x: (second: number) => number): string[] {
  const step = STEPS.find((one) => (to - from) / one <= 12) ?? to - from
  const ticks: string[] = []
  for (let second = Math.ceil(from / step) * step; second <= to; second += step) {
    const label = `${Math.floor(second / 3600)}:${String((second / 60) % 60).padStart(2, '0')}`
    const style = `fill="${GREY}" text-anchor="middle"`
    ticks.push(text(x(second), INNER.height + 16, label, style))
  }
  return ticks
}

function legend(lines: readonly Line[]): string[] {
  return lines.map(({ label, colour }, n) => text(n * 210, -8, `— ${label}`, `fill="${colour}"`))
}

function polyline(values: readonly number[], colour: string, y: (value: number) => number): string {
  const points = values.map((value, n) => {
    const x = round(((n + 0.5) / values.length) * INNER.width)
    return `${x},${y(value)}`
  })
  return `<polyline fill="none" stroke="${colour}" points="${points.join(' ')}"/>`
}

function across(y: number, colour: string, more = ''): string {
  return `<line x2="${INNER.width}" y1="${y}" y2="${y}" stroke="${colour}"${more}/>`
}

/** Texts are the simulation's own and hold nothing that XML would have to have escaped. */
function text(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${words}</text>`
}

/** The next of 1, 2, 4, 5, 10 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)))
  const factor = [1, 2, 4, 5, 10].find((one) => one * power >= value) ?? 10
  return factor * power
}

/** A tenth of a pixel is enough. */
function round(value: number): number {
  return Math.round(value * 10) / 10
}
