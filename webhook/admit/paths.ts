import { posix } from 'node:path'

/**
 * A mount path in its one spelling: without `.`, `..`, double and trailing slashes, and with /run for /var/run, which
 * is a link to it in most images. Source: Filesystem Hierarchy Standard, "/run".
 */
export function canonicalPath(mountPath: string): string {
  const plain = isPlain(mountPath)
    ? mountPath
    : posix.normalize(`/${mountPath}`).replace(/(?<=.)\/$/, '')
  const isBelowRun = plain.startsWith('/var/run') && (plain[8] === '/' || plain.length === 8)
  return isBelowRun ? plain.slice('/var'.length) : plain
}

/** Most paths are, and to ask costs less than to write one anew. */
function isPlain(path: string): boolean {
  return path.startsWith('/') && !path.includes('//') && !path.includes('/.') && !path.endsWith('/')
}

/** True where the one is the other, or lies below it. */
export function isAtOrBelow(mountPath: string, folder: string): boolean {
  const other = canonicalPath(folder)
  // A spelling drops segments and adds none, so without the last one of the folder it cannot lead there.
  if (!mountPath.includes(other.slice(other.lastIndexOf('/') + 1))) return false
  const one = canonicalPath(mountPath)
  if (!one.startsWith(other)) return false
  return one.length === other.length || other === '/' || one[other.length] === '/'
}
