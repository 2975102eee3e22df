import { issueLeaf } from '../../shared/x509/certificate.ts'
import { Refusal } from '../refusal.ts'
import type { Signed, Signer, SigningRequest } from '../signer.ts'
import type { ActiveCa } from './manager.ts'

/** Signs with the intermediate of the active CA, whose key is in the Secret. */
export function createCaSigner(current: () => ActiveCa | undefined): Signer {
  return {
    issue: (request) =>
      new Promise((resolve) => {
        resolve(sign(current(), request)) // what it throws becomes the rejection
      }),
    bundlePem: () => current()?.bundlePem,
    expiries() {
      const ca = current()
      if (ca === undefined) return undefined
      return {
        root: ca.rootExpiresAtMs,
        intermediate: ca.issuer.certificate.validToDate.getTime(),
        server: ca.server.expiresAtMs,
      }
    },
  }
}

/** @throws Refusal */
function sign(ca: ActiveCa | undefined, request: SigningRequest): Signed {
  if (ca === undefined) throw new Refusal('not-ready', 'the authority has no CA yet')
  const leaf = issueLeaf({ ...request, issuer: ca.issuer })
  if (leaf.notAfterMs <= request.nowMs) throw new Refusal('not-ready', 'the CA has expired')
  return { ...leaf, bundlePem: ca.bundlePem }
}
