import { X509Certificate } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import { noProxyEntries } from '../../contract/sts-route.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import { splitPem } from '../x509/pem.ts'

/** How sidecars reach STS, by the flags. */
interface StsRoute {
  readonly proxy: string | undefined
  readonly noProxy: string | undefined
  /** PEM. */
  readonly ca: string | undefined
}

/**
 * Checks beyond the syntax of the flags, so that no pod is the first to fail: each block is a certificate, each
 * range is valid.
 *
 * @throws UsageError that names the flag, the setting and what is allowed
 */
export function refuseUnusableRoute({ proxy, noProxy, ca }: StsRoute): void {
  if (noProxy !== undefined && proxy === undefined) {
    throw new UsageError(
      `--sts-no-proxy is ${JSON.stringify(noProxy)}, but there is no --sts-proxy; allowed: both (stsProxy and stsNoProxy of nocreds-settings), or neither`,
    )
  }
  const range = noProxyEntries(noProxy ?? '').find((one) => one.includes('/') && !isRange(one))
  if (range !== undefined) {
    throw new UsageError(
      `--sts-no-proxy has ${JSON.stringify(range)}; allowed: ranges of addresses such as 10.0.0.0/8 or fd00::/8`,
    )
  }
  for (const [index, pem] of splitPem(ca ?? '').entries()) {
    try {
      new X509Certificate(pem)
    } catch (error) {
      throw new UsageError(
        `block ${index + 1} of --sts-ca (stsCa of nocreds-settings) is not a certificate: ${messageOf(error)}; allowed: CA certificates in PEM`,
      )
    }
  }
}

function isRange(text: string): boolean {
  const [address = '', bits] = text.split('/')
  const family = isIP(address)
  if (family === 0) return false
  try {
    new BlockList().addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4')
    return true
  } catch {
    return false
  }
}
