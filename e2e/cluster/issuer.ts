/**
 * The issuer of the cluster's tokens, as STS sees it: the two documents that the apiserver publishes, over
 * HTTPS. Runs in the cluster as it is, so it imports nothing but Node.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const documents = JSON.parse(readFileSync('/etc/issuer/documents.json', 'utf8')) as Record<
  string,
  unknown
>

createServer(
  { cert: readFileSync('/etc/tls/tls.crt'), key: readFileSync('/etc/tls/tls.key') },
  (request, response) => {
    const document = documents[request.url ?? '']
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? {}))
  },
).listen(8443)
