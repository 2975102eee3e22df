import { expect, test } from '@jest/globals'
import { podSchema } from '../pod.ts'
import { isForWindows } from './for-windows.ts'

const label = (key: string, operator = 'In', values: string[] | null = ['windows']): object => ({
  key,
  operator,
  values,
})
const OS = label('kubernetes.io/os')
const ZONE = label('zone', 'In', ['windows'])

/** Each term is a list of expressions. */
function required(...terms: object[][]): object {
  const nodeSelectorTerms = terms.map((matchExpressions) => ({ matchExpressions }))
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
  return { affinity: { nodeAffinity } }
}

const hostProcess = { securityContext: { windowsOptions: { hostProcess: true } } }
const preferred = {
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [OS] } },
      ],
    },
  },
}

test.each<[string, object, boolean]>([
  ['no OS named', {}, false],
  ['os', { os: { name: 'windows' } }, true],
  ['label', { nodeSelector: { 'kubernetes.io/os': 'windows' } }, true],
  ['old label', { nodeSelector: { 'beta.kubernetes.io/os': 'windows' } }, true],
  ['label of Linux', { nodeSelector: { 'kubernetes.io/os': 'linux' } }, false],
  ['os takes precedence over labels', { os: { name: 'linux' }, ...required([OS]) }, false],
  ['affinity', required([OS]), true],
  ['affinity by the old label', required([label('beta.kubernetes.io/os')]), true],
  ['one expression of several', required([ZONE, OS]), true],
  ['every term', required([OS], [ZONE, OS]), true],
  ['one term of two', required([OS], [ZONE]), false],
  ['Windows or Linux', required([label('kubernetes.io/os', 'In', ['windows', 'linux'])]), false],
  ['not Windows', required([label('kubernetes.io/os', 'NotIn')]), false],
  ['no values', required([label('kubernetes.io/os', 'In', [])]), false],
  ['values are null', required([label('kubernetes.io/os', 'Exists', null)]), false],
  ['an empty term', required([]), false],
  ['no term', required(), false],
  ['preferred only', preferred, false],
  ['nulls', { affinity: { nodeAffinity: null }, securityContext: null }, false],
  ['host process of the pod', hostProcess, true],
  ['host process of a container', { containers: [{ name: 'app', ...hostProcess }] }, true],
  [
    'host process of an init container',
    { initContainers: [{ name: 'init', ...hostProcess }] },
    true,
  ],
  ['no host process', { securityContext: { windowsOptions: { hostProcess: false } } }, false],
])('%s', (_what, spec, is) => {
  const pod = podSchema.parse({ metadata: {}, spec: { containers: [{ name: 'app' }], ...spec } })
  expect(isForWindows(pod)).toBe(is)
})
