import { posix } from 'node:path'

/**
 * A mount path in canonical form: without `.`, `..`, double and trailing slashes, and with /run for /var/run, which
 * is a link to it in most images. Source: Filesystem Hierarchy Standard, "/run".
 */
export function canonicalPath(mountPath: string): string {
  const plain = isPlain(mountPath)
    ? mountPath
    : posix.normalize(`/${mountPath}`).replace(/(?<=.)\/$/, '')
  const isBelowRun = plain.startsWith('/var/run') && (plain[8] === '/' || plain.length === 8)
  return isBelowRun ? plain.slice('/var'.length) : plain
}

/** Most paths are, and checking is cheaper than normalising. */
function isPlain(path: string): boolean {
  return path.startsWith('/') && !path.includes('//') && !path.includes('/.') && !path.endsWith('/')
}

/** True if the path is the folder or below it. */
export function isAtOrBelow(mountPath: string, folder: string): boolean {
  const other = canonicalPath(folder)
  // Normalising only removes segments, so without the folder's last one the path cannot lead there.
  if (!mountPath.includes(other.slice(other.lastIndexOf('/') + 1))) return false
  const one = canonicalPath(mountPath)
  if (!one.startsWith(other)) return false
  return one.length === other.length || other === '/' || one[other.length] === '/'
}
