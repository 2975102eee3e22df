import { posix } from 'node:path'

/**
 * A mount path in its one spelling: without `.`, `..`, double and trailing slashes, and with /run for /var/run, which
 * is a link to it in most images. Source: Filesystem Hierarchy Standard, "/run".
 */
export function canonicalPath(mountPath: string): string {
  const plain = posix.normalize(`/${mountPath}`).replace(/(?<=.)\/$/, '')
  return plain.replace(/^\/var\/run(?=\/|$)/, '/run')
}

/** True where the one is the other, or lies below it. */
export function isAtOrBelow(mountPath: string, folder: string): boolean {
  const [one, other] = [canonicalPath(mountPath), canonicalPath(folder)]
  return one === other || one.startsWith(other === '/' ? other : `${other}/`)
}
