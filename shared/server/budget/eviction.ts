/** Limits on a resource that untrusted clients use: connections, or bytes of bodies. */
export interface Limits {
  /** In total. */
  readonly max: number
  /** For one remote address, which many clients may share by NAT. */
  readonly maxPerAddress: number
}

/** One user of a budget. */
export interface Holder {
  readonly address: string
  /** 1 for a connection, bytes for a body. */
  readonly weight: number
  /** Milliseconds of a monotonic clock; the smallest one of an address is evicted first. Infinity: never evicted. */
  readonly sinceMs: number
}

/**
 * The next holder to evict so that the holders get within the limits; undefined if they are. Pure. Each call returns
 * one holder; call it until it returns undefined.
 *
 * It is the holder with the smallest `sinceMs` of the address with the largest weight. So an address with a small
 * weight loses nothing to one with a large weight. Within one address the oldest is evicted: a quick client is never
 * the oldest for long, an idle one is. (Evicting the youngest would let idle clients keep out all later ones.)
 *
 * If no holder of that address can be evicted, the address with the next largest weight is used.
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
  const candidates = [...shares.values()].filter(
    ({ weight, oldest }) => oldest !== undefined && (isOver || weight > maxPerAddress),
  )
  return candidates.reduce<(typeof candidates)[number] | undefined>(heavier, undefined)?.oldest
}

interface Share {
  readonly weight: number
  readonly oldest: Holder | undefined
}

/** Of two with the same weight, the one whose oldest holder is older. */
function heavier<S extends Share>(one: S | undefined, other: S): S {
  if (one === undefined || other.weight > one.weight) return other
  if (other.weight < one.weight) return one
  return (other.oldest?.sinceMs ?? Infinity) < (one.oldest?.sinceMs ?? Infinity) ? other : one
}
