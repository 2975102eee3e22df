import { describe, expect, test } from '@jest/globals'
import { throwawayCertificate } from '../test/fakes/throwaway-certificate.ts'
import { FLAGS, parseFlags, usage } from './config.ts'

const REQUIRED = ['--exchanger-image', 'nocreds/exchanger:0.1.0']
const FILES = ['--tls', 'files', '--tls-cert', 'c', '--tls-key', 'k']

function thrownBySync(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

test('no mesh proxy at all is said by none; an empty value is the default', () => {
  expect(parseFlags([...REQUIRED, '--mesh-proxies', 'none'])['mesh-proxies']).toEqual([])
  expect(parseFlags([...REQUIRED, '--mesh-proxies', ''])['mesh-proxies']).toEqual([
    'istio-proxy',
    'linkerd-proxy',
  ])
})

describe('parseFlags', () => {
  test('fills in the defaults', () => {
    expect(parseFlags(REQUIRED)).toMatchObject({
      'exchanger-image': 'nocreds/exchanger:0.1.0',
      tls: 'self-managed',
      port: 8443,
      'metrics-port': 9090,
      audience: 'sts.amazonaws.com',
      'default-delivery': 'process',
      'default-exchanger': 'sidecar',
      'driver-audiences': undefined,
      'default-region': undefined,
      'sts-endpoint': undefined,
      'leaf-lifetime-seconds': 604_800,
      'exchanger-images': undefined,
      'exchanger-image-pull-policy': 'IfNotPresent',
      'exchanger-user': 65_532,
      'exchanger-resources': {
        'requests.cpu': '10m',
        'requests.memory': '24Mi',
        'limits.memory': '64Mi',
      },
      'mesh-proxies': ['istio-proxy', 'linkerd-proxy'],
      'sts-http': 'refused',
      'accept-cluster-audience': 'false',
      'certificate-source': 'auto',
      'trust-bundle': 'config-map',
      'cluster-domain': 'cluster.local',
      'authority-url': 'https://nocreds-authority.nocreds-system.svc',
      'log-level': 'info',
    })
  })

  test('audiences of the driver are separated by blanks', () => {
    const config = parseFlags([...REQUIRED, '--driver-audiences', 'sts.amazonaws.com\n other '])
    expect(config['driver-audiences']).toEqual(['sts.amazonaws.com', 'other'])
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
    ['source', [...REQUIRED, '--certificate-source', 'x'], 'allowed: one of auto, authority, pod-'],
    ['authority', [...REQUIRED, '--authority-url', 'x'], '--authority-url is "x"'],
    ['authority by http', [...REQUIRED, '--authority-url', 'http://a'], 'allowed: an https URL'],
    [
      'sts by http',
      [...REQUIRED, '--sts-endpoint', 'http://sts.example.com'],
      '--sts-endpoint is "http://sts.example.com", over which tokens and credentials are sent in clear text; allowed: an https URL, or --sts-http accepted',
    ],
    ['sts-http', [...REQUIRED, '--sts-http', 'yes'], 'allowed: one of refused, accepted'],
    [
      'pull policy',
      [...REQUIRED, '--exchanger-image-pull-policy', 'Never'],
      'IfNotPresent, Always',
    ],
    ...['0', '-1', 'root', '1.5', '65532 ', '2147483648', '00'].map(
      (user): [string, string[], string] => [
        `exchanger user ${user}`,
        [...REQUIRED, `--exchanger-user=${user}`],
        `--exchanger-user is "${user}"; allowed: platform, or a user id from 1 to 2147483647 (0 is root)`,
      ],
    ),
    [
      'exchanger resources',
      [...REQUIRED, '--exchanger-resources', 'limits.cpu=5m'],
      '--exchanger-resources is "limits.cpu=5m"; allowed: quantities',
    ],
    [
      'mesh proxies',
      [...REQUIRED, '--mesh-proxies', 'Istio'],
      '--mesh-proxies is "Istio"; allowed: at most 20 container names',
    ],
    [
      'trust bundle',
      [...REQUIRED, '--trust-bundle', 'x'],
      'one of config-map, cluster-trust-bundle',
    ],
    ['proxy', [...REQUIRED, '--sts-proxy', 'socks5://x'], '--sts-proxy is "socks5://x"'],
    [
      'exceptions without proxy',
      [...REQUIRED, '--sts-no-proxy', 'a'],
      'but there is no --sts-proxy',
    ],
    [
      'no range',
      [...REQUIRED, '--sts-proxy', 'http://p', '--sts-no-proxy', 'a,10.0.0.0/40'],
      '--sts-no-proxy has "10.0.0.0/40"',
    ],
    [
      'a cluster that is no ARN',
      [...REQUIRED, '--cluster-arn', 'one'],
      '--cluster-arn is "one"; allowed: an ARN such as arn:aws:eks:',
    ],
    [
      'name of a cluster',
      [...REQUIRED, '--cluster-name=-one'],
      '--cluster-name is "-one"; allowed: 1–100 characters',
    ],
    ['a path as CA', [...REQUIRED, '--sts-ca', '/ca.crt'], '--sts-ca is not shown'],
    [
      'a CA that only looks like one',
      [...REQUIRED, '--sts-ca=-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
      'block 1 of --sts-ca (stsCa of nocreds-settings) is not a certificate',
    ],
    ['pseudo-region', [...REQUIRED, '--default-region', 'aws-global'], 'not a pseudo-region'],
    ['cluster domain', [...REQUIRED, '--cluster-domain', 'A.b'], '--cluster-domain is "A.b"'],
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

  test('an http STS if that is accepted, and an https one always', () => {
    const http = ['--sts-endpoint', 'http://sts.example.com', '--sts-http', 'accepted']
    expect(parseFlags([...REQUIRED, ...http])).toMatchObject({
      'sts-endpoint': 'http://sts.example.com',
    })
    const https = ['--sts-endpoint', 'https://sts.example.com', '--sts-http', 'refused']
    expect(parseFlags([...REQUIRED, ...https])).toMatchObject({
      'sts-endpoint': 'https://sts.example.com',
    })
  })

  const PROXY = ['--sts-proxy', 'http://proxy.example.com:3128']

  test('a proxy, its exceptions and CAs', async () => {
    const { caPem } = await throwawayCertificate(['127.0.0.1'])
    const exceptions = ['--sts-no-proxy', '10.0.0.0/8,.example.com']
    expect(parseFlags([...REQUIRED, ...PROXY, ...exceptions, `--sts-ca=${caPem}`])).toMatchObject({
      'sts-proxy': 'http://proxy.example.com:3128',
      'sts-no-proxy': '10.0.0.0/8,.example.com',
      'sts-ca': caPem,
    })
  })

  test('a password is refused and not shown, in any URL', () => {
    for (const flag of ['--sts-proxy', '--sts-endpoint', '--authority-url']) {
      const refused = thrownBySync(() =>
        parseFlags([...REQUIRED, flag, 'https://user:hunter2@example.com']),
      )
      expect(refused).toMatchObject({
        code: 'ERR_USAGE',
        message: expect.stringMatching(new RegExp(`^${flag} is not shown.*; allowed: an http`)),
      })
      expect(String(refused)).not.toContain('hunter2')
    }
  })

  test('the cluster is not known unless the settings name it', () => {
    const unset = ['--cluster-arn=', '--cluster-name=$(CLUSTER_NAME)']
    expect(parseFlags([...REQUIRED, ...unset])).toMatchObject({
      'cluster-arn': undefined,
      'cluster-name': undefined,
    })
    const arn = 'arn:aws:eks:eu-central-1:111122223333:cluster/one'
    const named = ['--cluster-arn', arn, '--cluster-name', 'one']
    expect(parseFlags([...REQUIRED, ...named])).toMatchObject({
      'cluster-arn': arn,
      'cluster-name': 'one',
    })
  })

  test('images are separated by blanks or line breaks', () => {
    expect(parseFlags([...REQUIRED, '--exchanger-images', 'a:1\n b@sha256:x\n'])).toMatchObject({
      'exchanger-images': ['a:1', 'b@sha256:x'],
    })
  })

  test('the user of the sidecar: an id, or what the platform sets', () => {
    for (const [text, user] of [
      ['1', 1],
      ['1000680000', 1_000_680_000],
      ['platform', 'platform'],
    ] as const) {
      expect(parseFlags([...REQUIRED, '--exchanger-user', text])).toMatchObject({
        'exchanger-user': user,
      })
    }
  })

  test('standalone', () => {
    expect(parseFlags([...REQUIRED, ...FILES, '--objects', 'o'])).toMatchObject({ objects: 'o' })
  })

  test('--help names every flag', () => {
    for (const name of Object.keys(FLAGS)) expect(usage()).toContain(`--${name}`)
  })
})
