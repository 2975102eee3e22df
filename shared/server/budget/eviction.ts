/** What an address may hold of something that strangers can ask for: connections, or bytes of bodies. */
export interface Limits {
  /** In all. */
  readonly max: number
  /** By one remote address, which NAT may share among many. */
  readonly maxPerAddress: number
}

/** One holder of a part of a budget. */
export interface Holder {
  readonly address: string
  /** How much it holds: 1 for a connection, bytes for a body. */
  readonly weight: number
  /** Milliseconds of a monotonic clock; the smallest of an address goes first. Infinity: it cannot go. */
  readonly sinceMs: number
}

/**
 * Who is to be let go so that the holders come back within the limits; undefined while they are within
 * them. Pure. Call it again until it gives undefined: each call names one.
 *
 * The address that holds the most gives, and of its holders the one with the smallest `sinceMs`. So an
 * address that holds little loses nothing to one that holds much. Within one address the oldest goes:
 * a caller that is quick is never the oldest for long, and one that waits with what it took, is. (The
 * youngest would be wrong: then callers that do nothing would keep out all that come after them.)
 *
 * Where the address that holds the most has nobody that can go, the next one gives.
 */
export function nextToEvict<H extends Holder>(
  holders: Iterable<H>,
  { max, maxPerAddress }: Limits,
): H | undefined {
  const shares = new Map<string, { weight: number; oldest: H | undefined }>()
  let total = 0
  for (const holder of holders) {
    total += holder.weight
    const share = shares.get(holder.address) ?? { weight: 0, oldest: undefined }
    share.weight += holder.weight
    if (holder.sinceMs < (share.oldest?.sinceMs ?? Infinity)) share.oldest = holder
    shares.set(holder.address, share)
  }
  const isOver = total > max
  const givers = [...shares.values()].filter(
    ({ weight, oldest }) => oldest !== undefined && (isOver || weight > maxPerAddress),
  )
  return givers.reduce<(typeof givers)[number] | undefined>(greedier, undefined)?.oldest
}

interface Share {
  readonly weight: number
  readonly oldest: Holder | undefined
}

/** Between two that hold the same, the one whose oldest is older. */
function greedier<S extends Share>(one: S | undefined, other: S): S {
  if (one === undefined || other.weight > one.weight) return other
  if (other.weight < one.weight) return one
  return (other.oldest?.sinceMs ?? Infinity) < (one.oldest?.sinceMs ?? Infinity) ? other : one
}
