/** Calls SERVER, if it is the workload SERVER_ID, each EVERY_MS, and prints what it says. */
import { Agent, get } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkServerIdentity } from 'node:tls'
import { followTlsDir, idOf } from './tls-dir.mjs'

const url = process.env.SERVER ?? 'https://server.team-a.svc'
const serverId = process.env.SERVER_ID ?? 'spiffe://cluster.local/ns/team-a/sa/server'
const everyMs = Number(process.env.EVERY_MS ?? 1000)

/** Both the name and the workload must be right: each workload of team-a may have that name. */
function checkServer(name, certificate) {
  const id = idOf(certificate)
  if (id !== serverId) return new Error(`the certificate is of ${id}, not of ${serverId}`)
  return checkServerIdentity(name, certificate)
}

// Calls under way end with the agent that they began with.
let agent
followTlsDir((files) => {
  agent = new Agent({ ...files, checkServerIdentity: checkServer })
})

function call() {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, timeout: 10_000 }, (response) => {
      text(response).then((body) => resolve(`${response.statusCode} ${body.trim()}`), reject)
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
  })
}

for (;;) {
  console.log(await call().catch((error) => `failed: ${error.message}`))
  await sleep(everyMs)
}
