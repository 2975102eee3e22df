/** For programs of a test that cannot choose a port themselves. Never shipped. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { listen } from '../../shared/base/server.ts'

/** Below those that Linux gives to outgoing connections, one of which could take the port before the program does. */
const PORTS = [10_000, 30_000] as const
const TRIES = 100

const given = new Set<number>()

/** A port of loopback that nobody listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (let count = 0; count < TRIES; count += 1) {
    const port = randomInt(...PORTS)
    if (!given.has(port) && (await isFree(port))) {
      given.add(port)
      return port
    }
  }
  throw new Error(`no free port between ${PORTS.join(' and ')} in ${TRIES} tries`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await listen(server, port, '127.0.0.1')
  } catch {
    return false
  }
  await new Promise((resolve) => server.close(resolve))
  return true
}
