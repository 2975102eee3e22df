/** Test double: a process that asks the endpoint as botocore's ContainerProvider does. Never shipped. */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** Source: botocore 1.44, utils.py, ContainerMetadataFetcher. */
const BOTOCORE = { tries: 3, timeoutMs: 2000, pauseMs: 1000 } as const

export interface EndpointAddress {
  readonly port: number
  readonly path: string
  readonly authorization: string
}

/** What one client found; its connection stays open until the other side ends it, as that of a pool does. */
export interface Asked {
  /** Status line, headers and body; undefined if all tries failed. */
  readonly answer: string | undefined
  readonly tries: number
}

/** @param sockets gets each connection, for the test to close */
export async function askLikeBotocore(address: EndpointAddress, sockets: Socket[]): Promise<Asked> {
  for (let tries = 1; ; tries += 1) {
    const answer = await once(address, sockets)
    if (answer !== undefined || tries === BOTOCORE.tries) return { answer, tries }
    await pause(BOTOCORE.pauseMs)
  }
}

function once(
  { port, path, authorization }: EndpointAddress,
  sockets: Socket[],
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      const [head = '', body = ''] = text.split('\r\n\r\n')
      const length = /content-length: (\d+)/i.exec(head)?.[1]
      if (length !== undefined && body.length >= Number(length)) resolve(text)
    })
    socket.setTimeout(BOTOCORE.timeoutMs, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      resolve(undefined)
    })
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: Botocore/1.44\r\n` +
        `Accept: application/json\r\nAccept-Encoding: identity\r\nAuthorization: ${authorization}\r\n\r\n`,
    )
  })
}
