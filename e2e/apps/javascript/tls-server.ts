/**
 * A server that knows of nocreds only NOCREDS_TLS_DIR: it accepts every client with a certificate of the bundle, tells
 * who that is and which certificate it showed itself, and takes up new files without a restart.
 */
import { X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { generation, type Generation } from './generation.ts'

const LOOK_MS = 1000

let present = generation()
const options = (of: Generation): object => ({ key: of.key, cert: of.certificate, ca: of.bundle })
const server = createServer(
  { ...options(present), requestCert: true, rejectUnauthorized: true },
  (request, response) => {
    const socket = request.socket as unknown as { getPeerCertificate(): PeerCertificate }
    const { serialNumber } = new X509Certificate(present.certificate)
    response.end(
      JSON.stringify({
        peer: socket.getPeerCertificate().subjectaltname,
        server: serialNumber,
      }),
    )
  },
)
server.listen(8443)
setInterval(() => {
  const found = generation(present)
  if (found === present) return
  present = found
  server.setSecureContext(options(found))
}, LOOK_MS)
