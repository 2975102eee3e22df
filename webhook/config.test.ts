import { describe, expect, test } from '@jest/globals'
import { FLAGS, parseFlags, usage } from './config.ts'

const REQUIRED = ['--exchanger-image', 'nocreds/exchanger:0.1.0']
const FILES = ['--tls', 'files', '--tls-cert', 'c', '--tls-key', 'k']

describe('parseFlags', () => {
  test('fills in the defaults', () => {
    expect(parseFlags(REQUIRED)).toMatchObject({
      'exchanger-image': 'nocreds/exchanger:0.1.0',
      tls: 'self-managed',
      port: 8443,
      'metrics-port': 9090,
      audience: 'sts.amazonaws.com',
      'default-delivery': 'process',
      'default-region': undefined,
      'sts-endpoint': undefined,
      'leaf-lifetime-seconds': 604_800,
      'certificate-door': 'auto',
      'authority-url': 'https://nocreds-authority.nocreds-system.svc',
      'log-level': 'info',
    })
  })

  test('an empty optional flag counts as none', () => {
    expect(parseFlags([...REQUIRED, '--sts-endpoint='])).toMatchObject({
      'sts-endpoint': undefined,
    })
  })

  const BAD: [string, string[], string][] = [
    ['required flag missing', [], '--exchanger-image is missing'],
    ['required flag empty', ['--exchanger-image='], '--exchanger-image is ""'],
    [
      'unknown flag',
      [...REQUIRED, '--colour', 'red'],
      "Unknown option '--colour'; allowed flags: --",
    ],
    ['no flag', [...REQUIRED, 'extra'], "Unexpected argument 'extra'"],
    ['flag without value', [...REQUIRED, '--port'], '--port'],
    ['port', [...REQUIRED, '--port', '65536'], '--port is "65536"; allowed: a port from 0'],
    ['tls', [...REQUIRED, '--tls', 'none'], '--tls is "none"; allowed: one of self-managed, files'],
    ['delivery', [...REQUIRED, '--default-delivery', 'x'], 'allowed: one of process, endpoint'],
    ['region', [...REQUIRED, '--default-region', 'x'], '--default-region is "x"'],
    ['sts endpoint', [...REQUIRED, '--sts-endpoint', 'ftp://x'], '--sts-endpoint is "ftp://x"'],
    ['door', [...REQUIRED, '--certificate-door', 'x'], 'allowed: one of auto, authority, pod-'],
    ['authority', [...REQUIRED, '--authority-url', 'x'], '--authority-url is "x"'],
    ['lifetime', [...REQUIRED, '--leaf-lifetime-seconds', '5'], 'whole seconds from 60'],
    [
      'half a pair',
      [...REQUIRED, '--tls', 'files', '--tls-cert', 'c'],
      '--tls files needs --tls-key',
    ],
    ['a pair without files', [...REQUIRED, '--tls-cert', 'c'], 'only allowed with --tls files'],
    ['objects without files', [...REQUIRED, '--objects', 'o'], '--objects needs --tls files'],
  ]
  test.each(BAD)('%s', (_name, argv, message) => {
    expect(() => parseFlags(argv)).toThrow(
      expect.objectContaining({
        code: 'ERR_USAGE',
        message: expect.stringContaining(message),
      }),
    )
  })

  test('standalone', () => {
    expect(parseFlags([...REQUIRED, ...FILES, '--objects', 'o'])).toMatchObject({ objects: 'o' })
  })

  test('--help names every flag', () => {
    for (const name of Object.keys(FLAGS)) expect(usage()).toContain(`--${name}`)
  })
})
