/** The value that a part of all values does not exceed; 0.5 is the median, 0.99 what is called p99. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  const value =
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * part) - 1))]
  if (value === undefined) throw new Error('no values')
  return value
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Median, least and most, as `12.3 ms (11.9–14.0)`. */
export function spread(values: readonly number[], unit: string, digits = 0): string {
  const text = (value: number): string => value.toFixed(digits)
  return `${text(median(values))} ${unit} (${text(Math.min(...values))}–${text(Math.max(...values))})`
}
