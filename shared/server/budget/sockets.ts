import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'

/** Removes the listeners of an event, and returns a function that calls them. */
export function takeOver(
  server: Server | HttpsServer,
  event: string,
): (...args: unknown[]) => void {
  const listeners = server.listeners(event)
  server.removeAllListeners(event)
  return (...args) => {
    for (const listener of listeners) Reflect.apply(listener, server, args)
  }
}

/** Identifies a connection by both ends, which are the same for TLS and the socket below it. */
export function nameOf({
  remoteAddress,
  remotePort,
  localAddress,
  localPort,
}: Socket): string | undefined {
  if (remoteAddress === undefined) return undefined // the other end is gone
  return `${remoteAddress} ${remotePort ?? 0} ${localAddress ?? ''} ${localPort ?? 0}`
}

/** The address for counting: IPv4 is normalized. */
export function addressOf({ remoteAddress = '' }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
}
