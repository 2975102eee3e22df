/**
 * The client of the demo: calls the server once a second over one connection that it keeps, and over a new
 * one each time, until both ends have renewed their certificates.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import { onLoopback } from './loopback.ts'

const MAX_ROUNDS = 45

interface Answer {
  /** What the server says, with the serial of the certificate that this client showed. */
  readonly said: string
  /** Serial of the server's certificate. */
  readonly serial: string
  readonly socket: TLSSocket
}

const { SERVER = '', NOCREDS_TLS_DIR = '' } = process.env

/** Of one generation, read through the link at this moment. */
function agentOfNow(options: object): Agent {
  const generation = realpathSync(join(NOCREDS_TLS_DIR, '..data'))
  const read = (name: string): Buffer => readFileSync(join(generation, name))
  const files = { key: read('tls.key'), cert: read('tls.crt'), ca: read('ca.crt') }
  return new Agent({ ...files, ...options })
}

function call(agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(SERVER, { agent, lookup: onLoopback, timeout: 5000 }, (response) => {
      const { socket } = response
      if (!(socket instanceof TLSSocket)) throw new Error('the connection is not TLS')
      const serial = socket.getPeerCertificate().serialNumber
      text(response).then((said) => {
        if (response.statusCode === 200) resolve({ said: said.trim(), serial, socket })
        else reject(new Error(`the server answered ${String(response.statusCode)}: ${said}`))
      }, reject)
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
  })
}

const kept = agentOfNow({ keepAlive: true, maxSockets: 1 })
const first = await call(kept)
console.log(`the server says: ${first.said}`)
let latest = first
let round = 0
for (; latest.serial === first.serial || latest.said === first.said; round += 1) {
  if (round === MAX_ROUNDS) throw new Error('the certificates were not renewed')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const onKept = await call(kept)
  if (onKept.socket !== first.socket) throw new Error('the kept connection was dropped')
  if (onKept.serial !== first.serial) throw new Error('a connection changed its certificate')
  const before = latest
  latest = await call(agentOfNow({ keepAlive: false }))
  if (latest.serial !== before.serial) {
    console.log(`new connections see the server's new certificate ${latest.serial}`)
  }
  if (latest.said !== before.said) console.log(`the server says: ${latest.said}`)
}
console.log(`the first connection is still open; ${String(2 * round + 1)} calls, none failed`)
kept.destroy()
