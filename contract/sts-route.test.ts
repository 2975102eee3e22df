import { describe, expect, test } from '@jest/globals'
import { CA_BUNDLE_LIMITS, caBundle, noProxy, noProxyEntries } from './sts-route.ts'
import { httpUrl, proxyUrl, quoted } from './values.ts'

const BLOCK = '-----BEGIN CERTIFICATE-----\nAAAA\nBB==\n-----END CERTIFICATE-----\n'

describe('proxy', () => {
  test.each(['http://proxy:3128', 'https://proxy.example.com', 'http://[fd00::1]:8080/'])(
    '%s',
    (url) => {
      expect(proxyUrl.parse(url)).toBe(url)
    },
  )

  test.each([
    'proxy:3128',
    'socks5://proxy:1080',
    'http://proxy/path',
    'http://proxy?x',
    'http://user@proxy',
    'http://user:hunter2@proxy:3128',
    'http://user:hunter2%40proxy',
    'http://proxy\n',
    'http://$(HOME)',
    '',
  ])('not %j', (url) => {
    expect(proxyUrl.parse(url)).toBeUndefined()
  })

  test('what may hold a password is not quoted', () => {
    for (const kind of [proxyUrl, httpUrl]) {
      expect(quoted(kind, 'http://user:hunter2@proxy')).not.toContain('hunter2')
      expect(quoted(kind, 'ftp://proxy')).toBe('"ftp://proxy"')
    }
  })
})

describe('no proxy', () => {
  test.each([
    '',
    'sts.example.com',
    '.example.com, *.example.org',
    'a,b\nc',
    '10.0.0.0/8,fd00::/8',
    '10.0.0.1',
    '[fd00::1]',
    'sts.example.com:443',
  ])('%j', (list) => {
    expect(noProxy.parse(list)).toBe(list)
  })

  test.each(['*', 'https://sts.example.com', 'a/b', 'a b$(c)', 'user:pw@host', 'A.example'])(
    'not %j',
    (list) => {
      expect(noProxy.parse(list)).toBeUndefined()
    },
  )

  test('entries are separated by commas, blanks or line breaks', () => {
    expect(noProxyEntries(' a, b\nc,,')).toEqual(['a', 'b', 'c'])
  })
})

describe('CA bundle', () => {
  const MOST = CA_BUNDLE_LIMITS.certificates

  test.each([
    ['one', BLOCK],
    ['text around blocks', `# before\n${BLOCK}\n# between\n${BLOCK}`],
    ['carriage returns', BLOCK.replaceAll('\n', '\r\n')],
    ['the most', BLOCK.repeat(MOST)],
  ])('%s', (_what, pem) => {
    expect(caBundle.parse(pem)).toBe(pem)
  })

  test.each([
    ['nothing', ''],
    ['a path', '/etc/ssl/ca.crt'],
    ['one more than the most', BLOCK.repeat(MOST + 1)],
    ['more than 64 KiB', `${BLOCK}${'#'.repeat(CA_BUNDLE_LIMITS.bytes)}`],
    ['a key', BLOCK.replaceAll('CERTIFICATE', 'PRIVATE KEY')],
    ['a key beside it', `${BLOCK}${BLOCK.replaceAll('CERTIFICATE', 'PRIVATE KEY')}`],
    ['half a block', BLOCK.slice(0, -10)],
    ['a block without its begin', BLOCK.slice(10)],
    ['no base64', BLOCK.replace('AAAA', 'A*AA')],
    ['a dollar sign, which the kubelet would expand', `# $(HOME)\n${BLOCK}`],
    ['other than ASCII', `# ä\n${BLOCK}`],
  ])('not %s', (_what, pem) => {
    expect(caBundle.parse(pem)).toBeUndefined()
    expect(quoted(caBundle, pem)).toBe('not shown, as it may hold a password or a key')
  })
})
