/** Test double: reads certificate requests with OpenSSL, which knows nothing of our code. Never shipped. */
import { spawn } from 'node:child_process'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { text } from 'node:stream/consumers'

export interface ReadCsr {
  readonly publicKey: KeyObject
  readonly dnsNames: readonly string[]
  /** All of it, in OpenSSL's words. */
  readonly text: string
}

/** Undefined if it is malformed or not signed with its own key. */
export async function readCsr(pem: string): Promise<ReadCsr | undefined> {
  const words = ['req', '-noout', '-verify', '-pubkey', '-text']
  const child = spawn('openssl', words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.on('error', () => undefined) // it may end before it has read all
  child.stdin.end(pem)
  const [shown, verdict] = await said
  // Of a bad signature the exit code says nothing.
  if ((await ended) !== 0 || !/verify OK/.test(verdict)) return undefined
  const [publicPem = ''] =
    /-----BEGIN PUBLIC KEY-----[^]+-----END PUBLIC KEY-----/.exec(shown) ?? []
  return {
    publicKey: createPublicKey(publicPem),
    dnsNames: [...shown.matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name),
    text: shown,
  }
}
