import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { literalEnvValue } from '../../contract/env-table.ts'
import { credentialsFromEnv, CREDENTIALS_IN_POD, toEnv } from '../../contract/exchanger-env.ts'
import { uidOf } from './issuer.ts'
import type { KubeletContainer, KubeletEnvVar, KubeletPod } from './kubelet-pod.ts'
import { containerProcess, expand, resolveEnv } from './kubelet-process.ts'
import type { PreparedPod } from './kubelet-volumes.ts'
import { ROLE_ALONE } from './role-alone.ts'
import { VirtualClock } from './virtual-clock.ts'

function podWith(container: Partial<KubeletContainer>): KubeletPod {
  return {
    metadata: { name: 'app-1', namespace: 'team-a' },
    spec: { containers: [{ name: 'app', command: ['node'], ...container }] },
  }
}

function planned(container: Partial<KubeletContainer>) {
  const prepared: PreparedPod = {
    pod: podWith(container),
    folder: '/tmp/pod',
    clock: new VirtualClock(),
    volumes: new Map([
      ['token', '/tmp/pod/volumes/token'],
      ['inner', '/tmp/pod/volumes/inner'],
    ]),
    rotateToken: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  return containerProcess(prepared, 'app', { '/nocreds/': '/checkout/dist' })
}

test('a mount with a subPath is a folder in the volume', () => {
  const volumeMounts = [{ name: 'inner', mountPath: '/run/tls', subPath: 'published' }]
  const { command, folderOf } = planned({ command: ['cat', '/run/tls/tls.crt'], volumeMounts })
  expect(command).toEqual(['cat', '/tmp/pod/volumes/inner/published/tls.crt'])
  expect(folderOf('/run/tls')).toBe('/tmp/pod/volumes/inner/published')
})

describe('expand, as the kubelet does it', () => {
  const variables = new Map([
    ['A', 'one'],
    ['B', '$(A)'],
    ['EMPTY', ''],
  ])

  /** The cases of Kubernetes' own test, third_party/forked/golang/expansion/expand_test.go. */
  test.each([
    ['$(A)', 'one'],
    ['$(A)$(A)', 'oneone'],
    ['x$(A)y', 'xoney'],
    ['$(B)', '$(A)'],
    ['$(EMPTY)', ''],
    ['$(NONE)', '$(NONE)'],
    ['$()', '$()'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$one'],
    ['$$$$(A)', '$$(A)'],
    ['$(A', '$(A'],
    ['$(A$$', '$(A$'],
    ['$A', '$A'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$$', '$'],
    ['$$$', '$$'],
    ['$($(A)', '$($(A)'],
    ['\\$(A)', '\\one'],
    ['$ (A)', '$ (A)'],
    ['${A}', '${A}'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables)).toBe(expected)
  })

  test('law: what the webhook escapes arrives as it was', () => {
    const text = fc.string({ unit: fc.constantFrom('$', '(', ')', 'A', 'x', '{') })
    fc.assert(
      fc.property(text, (value) => {
        expect(expand(literalEnvValue(value), variables)).toBe(value)
      }),
    )
  })
})

describe('resolveEnv', () => {
  const resolve = (...env: readonly KubeletEnvVar[]): object =>
    Object.fromEntries(resolveEnv(podWith({}), env))

  test('a value refers to what stands before it only, and a later name wins', () => {
    expect(
      resolve(
        { name: 'LATE', value: '$(A)' },
        { name: 'A', value: 'one' },
        { name: 'B', value: '$(A)-$(LATE)' },
        { name: 'A', value: '$(A)+' },
        { name: 'NOTHING' },
      ),
    ).toEqual({ LATE: '$(A)', A: 'one+', B: 'one-$(A)', NOTHING: '' })
  })

  test('fields of the pod are taken as they are', () => {
    const field = (name: string, fieldPath: string): KubeletEnvVar => ({
      name,
      valueFrom: { fieldRef: { fieldPath } },
    })
    expect(
      resolve(
        field('POD', 'metadata.name'),
        field('NAMESPACE', 'metadata.namespace'),
        field('ACCOUNT', 'spec.serviceAccountName'),
        field('UID', 'metadata.uid'),
        { name: 'ALL', value: '$(NAMESPACE)/$(POD)/$(ACCOUNT)' },
      ),
    ).toMatchObject({ ALL: 'team-a/app-1/default', UID: uidOf('pod', 'team-a/app-1') })
    const pod = { ...podWith({}), spec: { serviceAccountName: '', containers: [] } }
    const account = resolveEnv(pod, [field('ACCOUNT', 'spec.serviceAccountName')])
    expect(account.get('ACCOUNT')).toBe('default')
    expect(() => resolve(field('IP', 'status.podIP'))).toThrow('IP')
  })
})

test('the env that the webhook writes reaches the exchanger as it was meant', () => {
  const config = {
    roleArn: 'arn:aws:iam::111122223333:role/$(NOCREDS_POD)/$$/app',
    delivery: 'process',
    sessionDurationSeconds: 3600,
    sessionName: '{namespace}.{serviceaccount}',
    namespace: 'team-a',
    serviceAccount: 'app',
    audience: 'sts.amazonaws.com',
    region: 'eu-central-1',
    ...ROLE_ALONE,
    defaultTags: undefined,
    stsEndpoint: undefined,
    stsProxy: undefined,
    stsNoProxy: undefined,
    stsCa: undefined,
    ...CREDENTIALS_IN_POD,
  } as const
  const env = Object.fromEntries(resolveEnv(podWith({}), toEnv(config)))
  expect(credentialsFromEnv(env)).toEqual({ ...config, pod: 'app-1' })
})

describe('containerProcess', () => {
  test('maps mounts, the image and the termination message; the longest path wins', () => {
    const { command, env, postStart, folderOf, terminationMessageFile } = planned({
      command: ['node', '/nocreds/exchanger.mjs'],
      args: ['--token=/run/token', '$(TOKEN)', '/run/token/inner/x', '/run/tokens', '/nocreds'],
      env: [
        { name: 'TOKEN', value: '/run/token/token' },
        { name: 'FOLDER', value: '/run/token' },
        { name: 'OTHER', value: '/run' },
        { name: 'MESSAGE', value: '/dev/termination-log' },
      ],
      volumeMounts: [
        { name: 'token', mountPath: '/run/token' },
        { name: 'inner', mountPath: '/run/token/inner' },
        { name: 'other', mountPath: '/data' },
      ],
      lifecycle: { postStart: { exec: { command: ['node', '/nocreds/x.mjs', '$(TOKEN)'] } } },
    })
    expect(command).toEqual([
      'node',
      '/checkout/dist/exchanger.mjs',
      '--token=/run/token',
      '/tmp/pod/volumes/token/token',
      '/tmp/pod/volumes/inner/x',
      '/run/tokens',
      '/checkout/dist',
    ])
    expect(env).toEqual({
      TOKEN: '/tmp/pod/volumes/token/token',
      FOLDER: '/tmp/pod/volumes/token',
      OTHER: '/run',
      MESSAGE: terminationMessageFile,
    })
    expect(postStart).toEqual(['node', '/checkout/dist/x.mjs', '$(TOKEN)'])
    expect(folderOf('/run/token')).toBe('/tmp/pod/volumes/token')
    expect(() => folderOf('/data')).toThrow('/data')
  })

  test('an error names what it does not know', () => {
    const pod = { ...podWith({}), spec: { containers: [{ name: 'app' }] } }
    const prepared = { pod, folder: '/tmp', volumes: new Map() } as unknown as PreparedPod
    expect(() => containerProcess(prepared, 'app', {})).toThrow('no command')
    expect(() => containerProcess(prepared, 'other', {})).toThrow('it has app')
  })
})
