/**
 * `npm run certificate -- FOLDER`: writes ca.crt, tls.crt and tls.key for a webhook on 127.0.0.1, good
 * for one day. For trying things out; a cluster's certificate is managed by the webhook itself.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCa, issueLeaf } from '../../webhook/tls/certificates.ts'

const DAY_SECONDS = 86_400

const folder = process.argv[2]
if (folder === undefined) {
  console.error('FOLDER is missing; allowed: a folder to write ca.crt, tls.crt and tls.key to')
  process.exit(2)
}
const life = { nowMs: Date.now(), lifetimeSeconds: DAY_SECONDS }
const ca = await createCa(life)
const leaf = await issueLeaf({
  ...life,
  ca,
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
})
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'ca.crt'), ca.certPem)
await writeFile(join(folder, 'tls.crt'), leaf.certPem)
await writeFile(join(folder, 'tls.key'), leaf.keyPem, { mode: 0o600 })
console.log(`${folder}: ca.crt, tls.crt and tls.key for 127.0.0.1, for one day`)
