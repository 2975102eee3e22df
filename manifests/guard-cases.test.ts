import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { z } from 'zod'
import { DELIVERY_NAMES } from '../contract/delivery.ts'
import { CASE_FILES, objectOf, policyOf, type GuardCase } from '../e2e/support/guard-cases.ts'
import { at, documentsIn, INSTALLED, MANIFESTS } from './manifests.test-data.ts'

/**
 * The cases of the guard are run by a cluster (they need CEL); here they are held against the pods that
 * the webhook writes and against the policies, so that they do not rot in between.
 */
const patch = z.array(
  z.strictObject({
    op: z.enum(['add', 'replace', 'remove', 'copy']),
    path: z.string(),
    from: z.string().optional(),
    value: z.unknown().optional(),
  }),
)
const settings = z
  .strictObject({
    exchangerImage: z.string(),
    exchangerImages: z.string(),
    exchangerImagePullPolicy: z.string(),
    exchangerUser: z.string(),
    audience: z.string(),
    stsEndpoint: z.string(),
    stsProxy: z.string(),
    stsNoProxy: z.string(),
    stsCa: z.string(),
    clusterArn: z.string(),
    clusterName: z.string(),
    authorityUrl: z.string(),
  })
  .partial()
/** Pods as the webhook writes them. */
const golden = z.enum([
  ...DELIVERY_NAMES,
  'certificate',
  'certificate-and-role',
  'certificate-and-web-identity',
  'certificate-by-kubelet',
  'certificate-dns-names',
  'certificate-dns-names-by-kubelet',
  'largest',
  'driver',
  'driver-certificate',
  'driver-certificate-and-role',
  'largest-driver',
  'target-role',
  'target-role-alone',
  'target-role-of-a-cluster',
  'target-role-without-default-tags',
  'session-policy-of-one-role',
  'container-roles',
  'container-roles-alone',
  'container-roles-of-one',
  'container-roles-endpoint',
  'container-roles-eight',
  'container-roles-by-driver',
  'largest-of-containers',
  'largest-driver-of-containers',
  'driver-target-role',
  'driver-target-role-without-default-tags',
])
const impersonated = z.strictObject({ user: z.string(), groups: z.array(z.string()) })
const caseSchema = z.strictObject({
  name: z.string(),
  from: z.union([golden, z.looseObject({ apiVersion: z.string(), kind: z.string() })]),
  change: patch.optional(),
  namespace: z.string().default('team-a'),
  settings: settings.optional(),
  needs: z
    .enum(['PodCertificateRequest', 'ClusterTrustBundle', 'ResourceClaim', 'pods/resize'])
    .optional(),
  as: impersonated.optional(),
  createdBy: impersonated.optional(),
  exists: z.literal(true).optional(),
  apply: z.literal(true).optional(),
  subresource: z
    .enum([
      'token',
      'binding',
      'status',
      'finalize',
      'ephemeralcontainers',
      'resize',
      'exec',
      'attach',
    ])
    .optional(),
  pod: golden.optional(),
  container: z.string().optional(),
  update: patch.optional(),
  delete: z.enum(['one', 'all']).optional(),
  between: z
    .strictObject({
      permittedRoles: z.string(),
      settings,
      isEnabled: z.literal(false),
      ending: z.literal(true),
    })
    .partial()
    .optional(),
  verdict: z.enum(['allowed', 'denied']),
  message: z.string().min(1).optional(),
})
type Case = z.infer<typeof caseSchema>

const FOLDER = join(MANIFESTS, 'guard', 'cases')
const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8')
const OBJECTS = documentsIn(read('objects.yaml'))
const CASES: [string, Case][] = globSync('*.yaml', { cwd: FOLDER })
  .filter((file) => file !== 'objects.yaml')
  .flatMap((file) =>
    z
      .array(caseSchema)
      .parse(parse(read(file)))
      .map((one): [string, Case] => [`${file}: ${one.name}`, one]),
  )

describe('cases of the guard', () => {
  test('are in files that a runner knows', () => {
    const files = globSync('*.yaml', { cwd: FOLDER }).map((file) => file.replace('.yaml', ''))
    expect(files.sort()).toEqual(['objects', ...CASE_FILES].sort())
    const policies = INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy')
    expect([...new Set(CASE_FILES.map(policyOf))].sort()).toEqual(
      policies.map(({ metadata }) => metadata.name).sort(),
    )
  })

  test('have names of their own', () => {
    expect(new Set(CASES.map(([name]) => name)).size).toBe(CASES.length)
  })

  test.each(CASES)('%s', (_, one) => {
    expect(() => objectOf(one as GuardCase)).not.toThrow()
    expect(one.message === undefined).toBe(one.verdict === 'allowed')
    const namespaces = OBJECTS.filter(({ kind }) => kind === 'Namespace')
    expect(['kube-system', ...namespaces.map(({ metadata }) => metadata.name)]).toContain(
      one.namespace,
    )
  })

  const validations = INSTALLED.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy').flatMap(
    (policy) =>
      (at(policy, 'spec', 'validations') as { message: string; messageExpression?: string }[]).map(
        ({ message, messageExpression = message }): [string, string] => [
          message,
          messageExpression,
        ],
      ),
  )

  test.each(validations)('one is refused because: %s', (_, messageExpression) => {
    const LENGTH = 18 // long enough to tell one message from another
    const isSaidBy = (message: string): boolean =>
      Array.from({ length: Math.max(0, message.length - LENGTH + 1) }, (__, start) =>
        message.slice(start, start + LENGTH),
      ).some((part) => messageExpression.includes(part))
    const refused = CASES.filter(([, { verdict }]) => verdict === 'denied')
    expect(refused.filter(([, { message }]) => isSaidBy(message ?? '')).length).toBeGreaterThan(0)
  })
})
