import { chmod, lstat, rename, unlink } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { codeOf } from '../../shared/base/errors.ts'
import { DriverError } from '../errors.ts'

export interface ListeningSocket {
  /** Takes no more connections and removes the socket's file, unless it is another process's by now. */
  close(): Promise<void>
}

/** Connections at once. A kubelet opens one for each call, and has few calls under way. */
const MAX_CONNECTIONS = 256

/**
 * Listens on a Unix socket that only its owner may connect to. The socket is made under a hidden name,
 * which kubelets overlook, and renamed: where its name is seen, its mode is set and it is listened on. A
 * socket of that name, left by a process that was killed, is replaced.
 *
 * @param path in a folder that only root may write in; at most 107 bytes, as the system demands
 * @throws DriverError ERR_SOCKET if something else than a socket has this name; Node's error (ENOENT,
 *   EACCES, …) if the folder cannot be written
 */
export async function listenOnSocket(
  path: string,
  onConnection: (connection: Socket) => void,
): Promise<ListeningSocket> {
  const hidden = join(dirname(path), `.${basename(path)}`)
  await removeSocket(hidden)
  await inodeOfSocket(path)
  const server = createServer(onConnection)
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(hidden, resolve)
  })
  // A connection that cannot be accepted, such as for want of descriptors, ends nothing else.
  server.on('error', () => undefined)
  try {
    await chmod(hidden, 0o600)
    const inode = await inodeOfSocket(hidden)
    await rename(hidden, path)
    return {
      async close() {
        server.close()
        if ((await inodeOfSocket(path).catch(() => undefined)) === inode) await removeSocket(path)
      },
    }
  } catch (error) {
    server.close()
    throw error
  }
}

async function removeSocket(path: string): Promise<void> {
  if ((await inodeOfSocket(path)) !== undefined) await unlink(path)
}

/** Undefined where nothing has this name. */
async function inodeOfSocket(path: string): Promise<number | undefined> {
  try {
    const found = await lstat(path)
    if (found.isSocket()) return found.ino
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  throw new DriverError(
    'ERR_SOCKET',
    `${path} is not a socket; the driver's socket belongs there: remove it`,
  )
}
