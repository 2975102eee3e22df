import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  closeSuite,
  createTeam,
  openSuite,
  podSpec,
  whoAmI,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { podReviews } from '../support/webhook-metrics.ts'

const PERMITTED = 'nocreds.dev/permitted-roles'
/** Why the webhook leaves a pod of the ServiceAccount `default` as it is. */
const NO_ROLE = 'no-role'
const LABEL = 'nocreds.dev/injection'

let suite: Suite
let team: Team
let foreignRole: string

beforeAll(async () => {
  suite = await openSuite('policy')
  team = await createTeam(suite, 'team')
  foreignRole = team.role.replace('role/policy-', 'role/other-')
}, 60_000)

afterAll(() => closeSuite(suite))

function serviceAccount(name: string, role: string): object {
  const annotations = { 'nocreds.dev/role-arn': role }
  const metadata = { name, namespace: team.namespace, annotations }
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
}

function namespace(name: string, annotations: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } }
}

/** What the message of every refusal says. */
function notPermitted(role: string): string {
  const expression = `arn:aws:iam::[0-9]+:role/${suite.prefix}-.*`
  return `namespace "${team.namespace}" does not permit role ${role}: ${PERMITTED} is "${expression}"`
}

describe('a role that the namespace does not permit', () => {
  test('the ReplicaSet has an event that says so, and no pod', async () => {
    const template = {
      metadata: {
        labels: { app: 'foreign' },
        annotations: { 'nocreds.dev/role-arn': foreignRole },
      },
      spec: podSpec(whoAmI()),
    }
    await suite.kubectl.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'foreign', namespace: team.namespace },
      spec: { selector: { matchLabels: { app: 'foreign' } }, template },
    })
    const ofReplicaSets = 'involvedObject.kind=ReplicaSet,reason=FailedCreate'
    const inNamespace = ['--namespace', team.namespace]
    const message = await waitFor('the event of the ReplicaSet', 60_000, async () => {
      const { items } = await suite.kubectl.get<{
        readonly items: readonly { readonly message: string }[]
      }>(['events', '--field-selector', ofReplicaSets, ...inNamespace])
      return items[0]?.message
    })
    expect(message).toContain('admission webhook "pods.nocreds.dev" denied the request')
    expect(message).toContain(notPermitted(foreignRole))
    expect(
      await suite.kubectl(['get', 'pods', '-l', 'app=foreign', '-o', 'name', ...inNamespace]),
    ).toBe('')
    await suite.kubectl(['delete', 'deployment/foreign', ...inNamespace])
  })

  test('a ServiceAccount with it is denied at kubectl apply', async () => {
    await expect(suite.kubectl.apply(serviceAccount('foreign', foreignRole))).rejects.toThrow(
      notPermitted(foreignRole),
    )
    await suite.kubectl.apply(serviceAccount('changes', team.role))
    await expect(suite.kubectl.apply(serviceAccount('changes', foreignRole))).rejects.toThrow(
      notPermitted(foreignRole),
    )
  })

  test('a namespace without the annotation permits no role', async () => {
    const name = `${suite.prefix}-silent`
    await suite.kubectl.apply(namespace(name, {}))
    const { metadata } = serviceAccount('app', team.role) as { metadata: object }
    await expect(
      suite.kubectl.apply({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { ...metadata, namespace: name },
      }),
    ).rejects.toThrow(`${PERMITTED} is not set`)
  })
})

describe('the expression of a Namespace', () => {
  test.each(['arn:aws:iam::[0-9:role/.*', '(', 'a)|(b', '(?=lookahead)', '(a)\\1'])(
    'malformed, denied: %s',
    async (expression) => {
      const name = `${suite.prefix}-malformed`
      const applied = suite.kubectl.apply(namespace(name, { [PERMITTED]: expression }))
      await expect(applied).rejects.toThrow(
        /admission webhook "namespaces\.nocreds\.dev" denied the request: .*permitted-roles/,
      )
      const inPlace = ['annotate', 'namespace', team.namespace, '--overwrite']
      const annotated = suite.kubectl([...inPlace, `${PERMITTED}=${expression}`])
      await expect(annotated).rejects.toThrow('namespaces.nocreds.dev')
    },
  )
})

describe('the label follows the annotation', () => {
  async function labelOf(name: string): Promise<string | undefined> {
    const { metadata } = await suite.kubectl.get<{
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
    }>(['namespace', name])
    return metadata.labels[LABEL]
  }

  test('on create, update and removal of either annotation', async () => {
    const { kubectl, prefix } = suite
    const created = `${prefix}-created`
    await kubectl.apply(namespace(created, { [PERMITTED]: team.role }))
    expect(await labelOf(created)).toBe('enabled')

    const later = `${prefix}-annotated`
    await kubectl(['create', 'namespace', later])
    expect(await labelOf(later)).toBeUndefined()
    await kubectl(['annotate', 'namespace', later, `${PERMITTED}=${team.role}`])
    expect(await labelOf(later)).toBe('enabled')
    await kubectl(['label', 'namespace', later, `${LABEL}-`])
    expect(await labelOf(later)).toBe('enabled')
    await kubectl(['annotate', 'namespace', later, '--overwrite', `${PERMITTED}=`])
    expect(await labelOf(later)).toBeUndefined()
    await kubectl(['annotate', 'namespace', later, '--overwrite', `${PERMITTED}=${team.role}`])
    expect(await labelOf(later)).toBe('enabled')
    await kubectl(['annotate', 'namespace', later, `${PERMITTED}-`])
    expect(await labelOf(later)).toBeUndefined()
    await kubectl(['label', 'namespace', later, `${LABEL}=enabled`])
    expect(await labelOf(later)).toBeUndefined()
  })
})

describe('what the webhook is sent', () => {
  /** A pod that no scheduler takes, and that is not kept: only its admission matters. */
  function dryRun(inNamespace: string): Promise<string> {
    const spec = { schedulerName: 'none', containers: [whoAmI()] }
    const metadata = { name: 'app', namespace: inNamespace }
    const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    return suite.kubectl(['create', '--dry-run=server', '-f', '-'], pod)
  }

  async function serviceAccountOf(inNamespace: string): Promise<void> {
    await waitFor(`ServiceAccount default of ${inNamespace}`, 30_000, () =>
      suite.kubectl(['get', 'serviceaccount', 'default', '--namespace', inNamespace]),
    )
  }

  test('gets pods of namespaces that permit roles, and no others', async () => {
    const plain = `${suite.prefix}-plain`
    await suite.kubectl(['create', 'namespace', plain])
    await serviceAccountOf(plain)
    await serviceAccountOf(team.namespace)
    const pods = 20
    const start = await podReviews(suite.kubectl, NO_ROLE)
    for (let made = 0; made < pods; made += 1) await dryRun(plain)
    expect(await podReviews(suite.kubectl, NO_ROLE)).toBe(start)
    for (let made = 0; made < pods; made += 1) await dryRun(team.namespace)
    expect(await podReviews(suite.kubectl, NO_ROLE)).toBe(start + pods)
  })
})
