import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/** Key and certificate that belong together, and whom to trust. */
export interface Generation {
  readonly folder: string
  readonly key: string
  readonly certificate: string
  readonly bundle: string
}

/** The present one; `before` itself where it is still that. */
export function generation(before?: Generation): Generation {
  const folder = realpathSync(join(process.env['NOCREDS_TLS_DIR'] ?? '', '..data'))
  if (folder === before?.folder) return before
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return { folder, key: read('tls.key'), certificate: read('tls.crt'), bundle: read('ca.crt') }
}
