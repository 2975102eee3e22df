/** Answers the workloads that ALLOWED names: SPIFFE ids, separated by commas. */
import { createServer } from 'node:https'
import { followTlsDir, idOf } from './tls-dir.mjs'

const allowed = (process.env.ALLOWED ?? '').split(',')

// With `ca`, a client without a certificate of these CAs is refused in the handshake.
const server = createServer(
  { requestCert: true, rejectUnauthorized: true },
  (request, response) => {
    const peer = request.socket.getPeerCertificate()
    const id = idOf(peer)
    if (!id || !allowed.includes(id)) {
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
