import { describe, expect, test } from '@jest/globals'
import { AUTHORITY, AUTHORITY_VOLUME, TLS_VOLUME } from '../contract/certificates.ts'
import { DRIVER_ATTRIBUTES, DRIVER_VOLUME } from '../contract/driver-volume.ts'
import {
  DEFAULT_AUDIENCE,
  DEFAULT_SESSION_TAGS,
  INJECTED_ROLES,
  INJECTION_LABEL,
  PERMITTED_SESSION_TAGS,
  TOKEN_VOLUME,
} from '../contract/names.ts'
import { POLICY_LIMITS } from '../contract/session-policy.ts'
import { RESERVED_TAG_KEYS, TAG_LIMITS } from '../contract/session-tags.ts'
import { MAX_CHAINED_SESSION_SECONDS } from '../contract/values.ts'
import {
  at,
  HAS_KUBECTL,
  installed,
  INSTALLED,
  kustomized,
  SLOT_VOLUMES,
  type Manifest,
} from './manifests.test-data.ts'

/** What holds in which namespaces, and what the overlays make of it. */
const WITH_PARAMETERS = ['nocreds-pods', 'nocreds-token-requests']
const ENABLED = { matchLabels: { [INJECTION_LABEL.key]: INJECTION_LABEL.value } }
const bindings = INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicyBinding')
const policies = INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy')

function variablesOf(policy: Manifest): Record<string, string> {
  const variables = at(policy, 'spec', 'variables') as { name: string; expression: string }[]
  return Object.fromEntries(variables.map(({ name, expression }) => [name, expression]))
}

describe('where the policies apply', () => {
  test.each(bindings)('$metadata.name', ({ metadata: { name }, spec }) => {
    // With parameters missing, the apiserver refuses all that a binding covers.
    expect(spec).toMatchObject({ policyName: name, validationActions: ['Deny'] })
    const selector = WITH_PARAMETERS.includes(name) ? { namespaceSelector: ENABLED } : undefined
    expect((spec as Record<string, unknown>)['matchResources']).toEqual(selector)
  })

  test('parameters are read by these and no others', () => {
    const names = policies
      .filter((one) => JSON.stringify(one).includes('params.'))
      .map(({ metadata }) => metadata.name)
    expect(names.sort()).toEqual(WITH_PARAMETERS)
  })

  test('a policy that looks at every pod, token or ConfigMap has conditions that leave others alone', () => {
    for (const policy of policies) {
      // A request for a command has nothing but the name that is compared.
      if (policy.metadata.name === 'nocreds-pod-exec') continue
      expect(at(policy, 'spec', 'matchConditions', 0)).toBeDefined()
    }
  })
})

test('constants in CEL are those of the contract', () => {
  const text = JSON.stringify(policies)
  const volumes = [TOKEN_VOLUME, ...SLOT_VOLUMES, AUTHORITY_VOLUME, TLS_VOLUME]
  const listed = (all: readonly { name: string }[]): string =>
    `[${all.map(({ name }) => `'${name}'`).join(', ')}]`
  const textOfPolicy = (name: string): string =>
    JSON.stringify(installed('ValidatingAdmissionPolicy', name))
  expect(textOfPolicy('nocreds-pods')).toContain(listed(volumes))
  expect(variablesOf(installed('ValidatingAdmissionPolicy', 'nocreds-pods'))['slots']).toBe(
    listed(SLOT_VOLUMES),
  )
  for (const policy of ['nocreds-reserved-names', 'nocreds-pod-updates'])
    expect(textOfPolicy(policy)).toContain(listed([...volumes, DRIVER_VOLUME]))
  const ofDriver = textOfPolicy('nocreds-driver-volumes')
  for (const constant of Object.values(DRIVER_VOLUME)) expect(ofDriver).toContain(`'${constant}'`)
  for (const attribute of DRIVER_ATTRIBUTES) expect(ofDriver).toContain(`'${attribute}'`)
  for (const account of [AUTHORITY.service, 'nocreds-webhook'])
    expect(text).toContain(`'system:serviceaccount:${AUTHORITY.namespace}:${account}'`)
  const { authorityUrl, audience } = variablesOf(
    installed('ValidatingAdmissionPolicy', 'nocreds-pods'),
  )
  expect(authorityUrl).toContain(`'https://${AUTHORITY.host}'`)
  expect(audience).toContain(`'${DEFAULT_AUDIENCE}'`)
})

test('what the guard says of session tags and policies is what the contract says', () => {
  const ofSessions = installed('ValidatingAdmissionPolicy', 'nocreds-sessions')
  const text = JSON.stringify(ofSessions)
  const keys = RESERVED_TAG_KEYS.map((key) => `'${key}'`)
  expect(variablesOf(ofSessions)['takenKeys']).toContain(`key in [${keys.join(', ')}]`)
  for (const bound of [
    `list.split(',').size() <= ${TAG_LIMITS.tags}`,
    `list.size() <= ${TAG_LIMITS.text}`,
    `tag.split('=')[0].size() > ${TAG_LIMITS.key}`,
    `tag.size() - tag.split('=')[0].size() > ${TAG_LIMITS.value + 1}`,
    `policy.size() <= ${POLICY_LIMITS.characters}`,
    `list.split(' ').size() <= ${POLICY_LIMITS.arns}`,
    `int(text) <= ${MAX_CHAINED_SESSION_SECONDS}`,
  ]) {
    expect(text).toContain(bound)
  }
  for (const annotation of [INJECTED_ROLES, PERMITTED_SESSION_TAGS, DEFAULT_SESSION_TAGS])
    expect(text).toContain(`'${annotation}'`)
})

const whereKubectlIs = HAS_KUBECTL ? describe : describe.skip
whereKubectlIs('overlays of the guard', () => {
  const specs = (folder: string): unknown[] =>
    kustomized(folder).map(({ kind, metadata, spec }) => ({ kind, name: metadata.name, spec }))

  test('guard-cluster-wide adds two policies without parameters, for namespaces that are not enabled', () => {
    const added = specs('overlays/guard-cluster-wide').filter((one) =>
      String(at(one, 'name')).startsWith('nocreds-cluster-wide-'),
    )
    expect(specs('overlays/guard-cluster-wide')).toEqual(
      expect.arrayContaining([...specs('guard'), ...added]),
    )
    expect(specs('overlays/guard-cluster-wide')).toHaveLength(specs('guard').length + 4)
    expect(JSON.stringify(added)).not.toContain('param')
    const [key, values] = [INJECTION_LABEL.key, [INJECTION_LABEL.value]]
    for (const one of added) {
      if (at(one, 'kind') === 'ValidatingAdmissionPolicyBinding') {
        expect(at(one, 'spec', 'matchResources', 'namespaceSelector')).toEqual({
          matchExpressions: [{ key, operator: 'NotIn', values }],
        })
      } else {
        // Where its comment says that a patch changes it.
        expect(at(one, 'spec', 'variables', 0)).toEqual({
          name: 'audience',
          expression: `'${DEFAULT_AUDIENCE}'`,
        })
      }
    }
  })

  test('guard-warn refuses nothing, not even if the parameters are missing', () => {
    const wanted = specs('guard').map((one) => {
      const spec = at(one, 'spec') as Record<string, unknown>
      if (at(one, 'kind') === 'ValidatingAdmissionPolicy') spec['failurePolicy'] = 'Ignore'
      else spec['validationActions'] = ['Warn', 'Audit']
      if ('paramRef' in spec)
        (spec['paramRef'] as Record<string, unknown>)['parameterNotFoundAction'] = 'Allow'
      return one
    })
    expect(specs('overlays/guard-warn')).toEqual(wanted)
  })
})
