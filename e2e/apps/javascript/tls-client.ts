/**
 * Calls SERVER ten times a second, each time by a new connection with the present files. Prints a line a second:
 * how many calls were answered, why others failed, and the serial numbers of both sides.
 */
import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { generation } from './generation.ts'

const SERVER = process.env['SERVER'] ?? ''
const PAUSE_MS = 100
/** Far above what a busy machine takes. */
const LIMIT_MS = 20_000

let present = generation()
let answered = 0
let failed: string[] = []
let said: object = {}

function call(): Promise<string> {
  present = generation(present)
  const { key, certificate: cert, bundle: ca } = present
  return new Promise((resolve, reject) => {
    const asked = request(SERVER, { key, cert, ca, agent: false, timeout: LIMIT_MS }, (answer) => {
      text(answer).then(resolve, reject)
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer in ${LIMIT_MS} ms`)))
    asked.on('error', reject).end()
  })
}

setInterval(() => {
  const client = new X509Certificate(present.certificate).serialNumber
  call().then(
    (answer) => {
      answered += 1
      said = { ...(JSON.parse(answer) as object), client }
    },
    (error: unknown) => failed.push(String(error)),
  )
}, PAUSE_MS)
setInterval(() => {
  console.log(JSON.stringify({ answered, failed, ...said }))
  answered = 0
  failed = []
}, 1000)
