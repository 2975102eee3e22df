import { BlockList, isIP } from 'node:net'
import { noProxyEntries } from '../../contract/sts-route.ts'

/**
 * Whether a host is reached through the proxy. An entry matches a host and all names below it, `.suffix` or
 * `*.suffix` only the names below it; with `:port` it matches only that port. An address or range is compared with a
 * host that is an address; names are not resolved. Source: the rules of Go's x/net/http/httpproxy.
 *
 * @param to `https://host[:port]`
 * @param noProxy see contract/sts-route.ts
 */
export function isProxied(to: URL, noProxy: string | undefined): boolean {
  const host = to.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const port = to.port === '' ? '443' : to.port
  return !noProxyEntries(noProxy ?? '').some((entry) => matches(entry, host, port))
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return isIn(entry, host)
  const address = entry.replace(/^\[|\]$/g, '')
  if (isIP(address) !== 0) return isIn(`${address}/${isIP(address) === 6 ? 128 : 32}`, host)
  const [name = '', ofPort = port] = entry.replace(/^\*\./, '.').split(':')
  if (ofPort !== port) return false
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`)
}

function isIn(range: string, host: string): boolean {
  const [address = '', bits] = range.split('/')
  if (isIP(host) === 0 || isIP(host) !== isIP(address)) return false
  const family = isIP(host) === 6 ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  try {
    list.addSubnet(address, Number(bits), family)
  } catch {
    return false // the webhook refuses such a range at startup
  }
  return list.check(host, family)
}
