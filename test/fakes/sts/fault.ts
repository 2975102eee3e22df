/** Test double, part of the embedded STS: ways in which STS and the way to it fail. Never shipped. */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { errorXml } from './xml.ts'

export type Fault =
  /** An answer such as 400 Throttling or 503 ServiceUnavailable. */
  | {
      readonly kind: 'http'
      readonly status: number
      readonly code: string
      readonly message: string
    }
  /** A refusal of the signature that quotes what was signed, the session token too, as AWS's do. */
  | { readonly kind: 'quote' }
  /** The connection stays open and no answer comes. */
  | { readonly kind: 'hang' }
  /** A good answer, later; the delay is the clock's time. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** 200 with a page that is not an answer of STS, as from a captive portal. */
  | { readonly kind: 'garbage' }
  /** The first half of a good answer, with a Content-Length that agrees. */
  | { readonly kind: 'truncated' }
  /** The connection breaks once the request is there. */
  | { readonly kind: 'reset' }

const WRONG_SIGNATURE = { status: 403, code: 'SignatureDoesNotMatch' } as const

function quoted({ req }: ServerResponse): string {
  const token = String(req.headers['x-amz-security-token'])
  return `The request signature we calculated does not match. The Canonical String for this request should have been 'POST / x-amz-security-token:${token}'`
}

/** True if the fault needs no decision of STS; the response is then taken care of. */
export function answerWithoutThinking(fault: Fault, response: ServerResponse): boolean {
  switch (fault.kind) {
    case 'http':
      response.writeHead(fault.status, { 'content-type': 'text/xml' })
      response.end(errorXml(fault, randomUUID()))
      return true
    case 'quote':
      response.writeHead(403, { 'content-type': 'text/xml' })
      response.end(errorXml({ ...WRONG_SIGNATURE, message: quoted(response) }, randomUUID()))
      return true
    case 'garbage':
      response.writeHead(200, { 'content-type': 'text/html' })
      response.end('<html><body>Please sign in to the network<br></body></html>')
      return true
    case 'reset':
      response.destroy()
      return true
    case 'hang':
      return true
    case 'slow':
    case 'truncated':
      return false
  }
}
