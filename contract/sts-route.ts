/**
 * How the exchanger reaches STS: the values that an operator sets for all pods. They stand in the sidecar's
 * environment by value, and the guard compares them by value, so they travel as they were written.
 */
import { text } from './values.ts'

/** Source: bytes of a variable and of an argument, of which Linux takes 128 KiB (MAX_ARG_STRLEN). */
export const CA_BUNDLE_LIMITS = { bytes: 65_536, certificates: 100 } as const

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const NAME = new RegExp(`^(?:\\*?\\.)?${LABEL}(?:\\.${LABEL})*(?::[0-9]{1,5})?$`)
const CIDR = /^[0-9a-f.:]{2,45}\/[0-9]{1,3}$/
const IPV6 = /^\[?[0-9a-f:.]{2,45}\]?$/

/** Hosts that are reached without the proxy. */
export const noProxy = text(
  'at most 4096 characters: host names in lower case (each with all names below it), .suffix, IP addresses and ranges such as 10.0.0.0/8, separated by commas',
  (value) =>
    value.length <= 4096 &&
    noProxyEntries(value).every((one) => NAME.test(one) || CIDR.test(one) || IPV6.test(one)),
)

/** Its entries, one by one. */
export function noProxyEntries(list: string): readonly string[] {
  return list.split(/[\s,]+/).filter((one) => one !== '')
}

const BLOCK = /-----BEGIN ([^-\n]*)-----([^-]*)-----END ([^-\n]*)-----/g
const BASE64 = /^[A-Za-z0-9+/\s]+=*\s*$/

/** PEM of the CAs that verify STS. At start the webhook also checks that each block is a certificate. */
export const caBundle = text(
  `1–${CA_BUNDLE_LIMITS.certificates} CA certificates in PEM, at most ${CA_BUNDLE_LIMITS.bytes} bytes of ASCII without dollar signs`,
  isCaBundle,
  { isSecret: () => true }, // a key could have been pasted there
)

function isCaBundle(pem: string): boolean {
  if (pem.length > CA_BUNDLE_LIMITS.bytes || !/^[\t\r\n -#%-~]+$/.test(pem)) return false
  const blocks = [...pem.matchAll(BLOCK)]
  const isWhole = pem.split('-----BEGIN').length === blocks.length + 1
  return (
    isWhole &&
    blocks.length >= 1 &&
    blocks.length <= CA_BUNDLE_LIMITS.certificates &&
    blocks.every(
      ([, begin, body = '', end]) =>
        begin === 'CERTIFICATE' && end === 'CERTIFICATE' && BASE64.test(body),
    )
  )
}
