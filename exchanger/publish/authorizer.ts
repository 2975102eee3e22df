import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * Tells whether a request's header is the authorization, in a time that says nothing about either:
 * digests have one length, whatever is sent.
 */
export function authorizer(authorization: string): (header: string | undefined) => boolean {
  const wanted = sha256(authorization)
  return (header) => timingSafeEqual(sha256(header ?? ''), wanted)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
