import type { LookupFunction } from 'node:net'

/** In the place of the cluster's DNS: every Service of the demo is on this machine. */
export const onLoopback: LookupFunction = (_name, { all }, answer) => {
  const address = { address: '127.0.0.1', family: 4 }
  if (all === true) answer(null, [address])
  else answer(null, address.address, address.family)
}
