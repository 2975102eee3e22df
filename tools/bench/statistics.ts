/** The value that this part of all values does not exceed: 0.5 gives the median, 0.99 the p99. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]
  if (value === undefined) throw new Error('no values')
  return value
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Median, least and most, as `12.3 (11.9–14.0)`. */
export function spread(values: readonly number[], digits = 0): string {
  const [middle, least, most] = [median(values), quantile(values, 0), quantile(values, 1)]
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

/** A straight line through points by least squares, and how well it fits: 1 is on the line. */
export interface Line {
  readonly slope: number
  readonly intercept: number
  readonly fit: number
}

/** @throws Error for fewer than two different places */
export function lineThrough(points: readonly (readonly [x: number, y: number])[]): Line {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const varianceX = mean(points.map(([x]) => (x - meanX) ** 2))
  const varianceY = mean(points.map(([, y]) => (y - meanY) ** 2))
  if (!(varianceX > 0)) throw new Error('no line: all points stand at one place')
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)))
  const slope = covariance / varianceX
  const fit = varianceY === 0 ? 1 : covariance ** 2 / (varianceX * varianceY)
  return { slope, intercept: meanY - slope * meanX, fit }
}

/** By how much the values rise from one to the next: the least squares line. @throws Error below two values */
export function slope(values: readonly number[]): number {
  return lineThrough(values.map((value, index) => [index, value])).slope
}
