import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Pod } from '../../../driver/pod-tokens.ts'
import { podNamed, startDriverNode, type DriverNode } from '../../../test/fakes/driver-node.ts'
import { bundle } from '../../build/programs.ts'
import { IMAGE_ENV, NODE_FLAGS } from './node-flags.ts'

/** As many pods as a node has, of a fifth as many ServiceAccounts. */
const PODS = 100
const SERVICE_ACCOUNTS = 20

export const pods = (of = SERVICE_ACCOUNTS): Pod[] =>
  Array.from({ length: PODS }, (_, index) => podNamed(`app-${index}`, `app-${index % of}`))

/** A node with the driver as its image runs it; STS speaks TLS. */
export async function withNode<T>(
  options: { readonly lifetimeSeconds?: number },
  measure: (node: DriverNode) => Promise<T>,
): Promise<T> {
  const dist = await mkdtemp(join(tmpdir(), 'nocreds-dist-'))
  const program = join(dist, 'driver.mjs')
  await bundle('test/fakes/driver-main.ts', program)
  const node = await startDriverNode({
    ...options,
    program,
    nodeFlags: NODE_FLAGS,
    env: IMAGE_ENV,
    tls: true,
  })
  try {
    return await measure(node)
  } finally {
    await node.close()
    await rm(dist, { recursive: true })
  }
}

export function pidOf(node: DriverNode): number {
  const { pid } = node.driver()
  if (pid === undefined) throw new Error('the driver does not run')
  return pid
}
