/**
 * Quantities of resources as Kubernetes writes them: `100m`, `0.1`, `64Mi`, `1e3`.
 * Source: Kubernetes API reference, "Quantity".
 */
const QUANTITY = /^\+?(\d{0,24})(?:\.(\d{0,24}))?(n|u|m|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?\d{1,2}|)$/

const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** Nothing finer counts; what is finer is rounded up, as Kubernetes does. */
const NANO_DIGITS = 9

/** The quantity in thousand-millionths, exact; undefined for anything that is not a quantity, or is negative. */
export function nanosOf(quantity: unknown): bigint | undefined {
  if (typeof quantity !== 'string' && typeof quantity !== 'number') return undefined
  const [, whole = '', fraction = '', suffix = ''] = QUANTITY.exec(String(quantity)) ?? []
  if (whole + fraction === '') return undefined
  const digits = BigInt(whole + fraction)
  const binary = BINARY.indexOf(suffix)
  const factor = binary > 0 ? 1024n ** BigInt(binary) : 1n
  const exponent = NANO_DIGITS - fraction.length + (binary > 0 ? 0 : exponentOf(suffix))
  const scaled = digits * factor
  if (exponent >= 0) return scaled * 10n ** BigInt(exponent)
  const divisor = 10n ** BigInt(-exponent)
  return (scaled + divisor - 1n) / divisor
}

function exponentOf(suffix: string): number {
  const index = DECIMAL.indexOf(suffix)
  return index === -1 ? Number(suffix.slice(1)) : 3 * (index - DECIMAL.indexOf(''))
}

/** The larger of two quantities, as it is written; for quantities that are valid. */
export function largerOf(one: string, other: string): string {
  return (nanosOf(one) ?? 0n) >= (nanosOf(other) ?? 0n) ? one : other
}
