import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

const POLL_MS = 2000

/**
 * Gives `take` the key, certificate and CAs of $NOCREDS_TLS_DIR: now, and again each time they were
 * renewed.
 */
export function followTlsDir(take) {
  const link = join(process.env.NOCREDS_TLS_DIR, '..data')
  let taken
  const look = () => {
    // Resolved once, so that key and certificate are of one pair whatever happens meanwhile.
    const generation = realpathSync(link)
    if (generation === taken) return
    const read = (name) => readFileSync(join(generation, name))
    take({ key: read('tls.key'), cert: read('tls.crt'), ca: read('ca.crt') })
    taken = generation
  }
  look()
  setInterval(() => {
    try {
      look()
    } catch (error) {
      console.error(`the certificate stays as it is for now: ${error.message}`)
    }
  }, POLL_MS).unref()
}

/** SPIFFE id in the peer's certificate: its one URI; undefined if it has none or several. */
export function idOf(certificate) {
  const names = certificate.subjectaltname ?? ''
  if (names.includes('"')) return undefined // Node quotes a name that could pass for two
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'))
  return uris.length === 1 ? uris[0].slice('URI:'.length) : undefined
}
