/** Calls SERVER each EVERY_MS, and prints what it says. */
import { Agent, get } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { followTlsDir } from './tls-dir.mjs'

const url = process.env.SERVER ?? 'https://server.team-a.svc'
const everyMs = Number(process.env.EVERY_MS ?? 1000)

// Calls under way end with the agent that they began with.
let agent
followTlsDir((files) => {
  agent = new Agent(files)
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
