/** Answers the workloads that ALLOWED names: SPIFFE ids, separated by commas. */
import { createServer } from 'node:https'
import { followTlsDir } from './tls-dir.mjs'

const allowed = (process.env.ALLOWED ?? '').split(',')

/** The one URI of the peer's certificate; undefined where it has none or several. */
function idOf(certificate) {
  const names = certificate.subjectaltname ?? ''
  if (names.includes('"')) return undefined // Node quotes a name that could pass for two
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'))
  return uris.length === 1 ? uris[0].slice('URI:'.length) : undefined
}

// With `ca`, who has no certificate of these CAs is refused in the handshake.
const server = createServer(
  { requestCert: true, rejectUnauthorized: true },
  (request, response) => {
    const peer = request.socket.getPeerCertificate()
    const id = idOf(peer)
    if (id === undefined || !allowed.includes(id)) {
      response.writeHead(403).end('this workload is not allowed\n')
      return
    }
    response.end(`hello ${id}, certificate ${peer.serialNumber}\n`)
  },
)

// New connections get the new certificate; those that are open stay.
followTlsDir((files) => server.setSecureContext(files))
server.listen(Number(process.env.PORT ?? 8443))
process.on('SIGTERM', () => server.close())
