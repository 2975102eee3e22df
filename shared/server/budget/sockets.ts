import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'

/** Takes the listeners of an event away; gives a function that calls them. */
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

/** Both ends, as TLS shows the same ones as the connection below it. */
export function nameOf({
  remoteAddress,
  remotePort,
  localAddress,
  localPort,
}: Socket): string | undefined {
  if (remoteAddress === undefined) return undefined // the other end is gone
  return `${remoteAddress} ${remotePort ?? 0} ${localAddress ?? ''} ${localPort ?? 0}`
}

/** As addresses are counted: IPv4 is the same whichever way it comes. */
export function addressOf({ remoteAddress = '' }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
}
