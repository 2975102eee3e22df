/** Running pods: what a user who debugs can read in them (18), and what changes once the permission is removed (13). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { apiserverOf, type ApiAnswer, type Apiserver } from '../support/apiserver.ts'
import { expectAdmitted, expectStopped } from '../support/attack.ts'
import { DEV, grant, ownRole, type User } from '../support/attackers.ts'
import {
  closeSuite,
  createTeam,
  openSuite,
  podSpec,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

/** A Role to debug: ephemeral containers, and no exec. */
const DEBUGGER: User = { user: 'debugger', groups: ['system:authenticated'] }
const MERGE = 'application/merge-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'

let suite: Suite
let api: Apiserver
let team: Team

beforeAll(async () => {
  suite = await openSuite('running')
  api = await apiserverOf(suite.kubectl)
  team = await createTeam(suite, 'team', { annotations: { 'nocreds.dev/certificate': 'true' } })
  const { namespace } = team
  const rule = {
    apiGroups: [''],
    resources: ['pods', 'pods/ephemeralcontainers'],
    verbs: ['get', 'patch', 'update'],
  }
  await suite.kubectl.apply(
    grant(namespace, DEV, { kind: 'ClusterRole', name: 'admin' }),
    ...ownRole(namespace, DEBUGGER, rule),
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app', namespace },
      spec: podSpec(whoAmIThenStay()),
    },
  )
  const wait = ['wait', '--for=condition=Ready', 'pod/app', '--timeout=90s']
  await suite.kubectl([...wait, '--namespace', namespace])
}, 150_000)

afterAll(() => closeSuite(suite))

const podPath = (rest: string): string => `/api/v1/namespaces/${team.namespace}/pods/app${rest}`

/** Nothing is kept of it if it is admitted. */
function debug(container: object, contentType = STRATEGIC): Promise<ApiAnswer> {
  const whole = { name: 'peek', image: IMAGES.appJavascript, command: ['sleep', '1'], ...container }
  const body = { spec: { ephemeralContainers: [whole] } }
  const path = podPath('/ephemeralcontainers?dryRun=All')
  return api({ method: 'PATCH', path, body, contentType, as: DEBUGGER })
}

const mounts = (name: string, more: object = {}): object => ({
  volumeMounts: [{ name, mountPath: '/c', ...more }],
})

function debuggersAreRefused(): void {
  test.each<[string, object]>([
    [
      '18: the credentials',
      { ...mounts('nocreds-credentials'), securityContext: { runAsUser: 65_532 } },
    ],
    ['the credentials, read only', mounts('nocreds-credentials', { readOnly: true })],
    ['the processes of the exchanger', { targetContainerName: 'nocreds-exchanger' }],
    ['the name of the exchanger', { name: 'nocreds-exchanger' }],
  ])('refused, for an ephemeral container: %s', async (_what, container) => {
    for (const contentType of [STRATEGIC, MERGE]) {
      const answer = await debug(container, contentType)
      expect(answer.message).toMatch(
        /ValidatingAdmissionPolicy 'nocreds-(pod-updates|reserved-names)'|Duplicate value/,
      )
      expect([403, 422]).toContain(answer.status)
    }
  })
  test('refused: the same by replacing the list', async () => {
    const { body } = await api({ method: 'GET', path: podPath('') })
    const pod = body as { spec: object }
    const peek = { name: 'peek', image: IMAGES.appJavascript, ...mounts('nocreds-credentials') }
    const whole = { ...pod, spec: { ...pod.spec, ephemeralContainers: [peek] } }
    const put = {
      method: 'PUT',
      path: podPath('/ephemeralcontainers?dryRun=All'),
      body: whole,
    } as const
    expectStopped(await api({ ...put, as: DEBUGGER }), 'nocreds-pod-updates', 'nocreds-credentials')
  })
  test('admitted: an ephemeral container that looks at the app alone', async () => {
    expectAdmitted(await debug({ targetContainerName: 'app' }))
  })
}

function commandsAreRefused(): void {
  test.each(['exec?command=id&', 'attach?'])('refused: %s in the exchanger', async (asked) => {
    const path = podPath(`/${asked}container=nocreds-exchanger&stdout=true`)
    expectStopped(
      await api({ method: 'POST', path, as: DEV }),
      'nocreds-pod-exec',
      'nocreds-exchanger',
    )
    expectStopped(
      await api({ method: 'GET', path, as: DEV }),
      'nocreds-pod-exec',
      'nocreds-exchanger',
    )
  })
  test('a second container in the query is not the one that is asked', async () => {
    const path = podPath('/exec?command=id&container=app&container=nocreds-exchanger&stdout=true')
    // Admitted for the app, and then no such connection: nothing of the exchanger.
    const { status, message } = await api({ method: 'POST', path, as: DEV })
    expect({ status, message }).toEqual({
      status: 400,
      message: expect.stringContaining('pgrade'),
    })
  })
  test('admitted: a command in the app', async () => {
    const exec = ['exec', 'app', '--namespace', team.namespace, '-c', 'app', '--as', DEV.user, '--']
    expect(await suite.kubectl([...exec, 'id', '-u'])).toBe('1000')
  })
}

function marksStay(): void {
  test.each(['', '/status', '/ephemeralcontainers', '/resize'])(
    'a mark does not change by pods%s',
    async (of) => {
      const change = {
        'nocreds.dev/injected-role': 'arn:aws:iam::111122223333:role/admin',
        'nocreds.dev/delivery': 'web-identity',
      }
      const body = { metadata: { annotations: change } }
      const path = podPath(`${of}?dryRun=All`)
      const answer = await api({ method: 'PATCH', path, body, contentType: MERGE })
      if (answer.status === 403) {
        expectStopped(answer, 'nocreds-pod-updates', 'nocreds.dev/')
        return
      }
      // Subresources that leave metadata alone.
      const { metadata } = answer.body as {
        metadata: { annotations: Readonly<Record<string, string>> }
      }
      expect(metadata.annotations).not.toMatchObject(change)
      expect(of).toMatch(/^\/(ephemeralcontainers|resize)$/)
    },
  )
}

describe('while the role is permitted', () => {
  debuggersAreRefused()
  commandsAreRefused()
  marksStay()
})

describe('13: after the permission was taken back', () => {
  beforeAll(async () => {
    await suite.kubectl(['annotate', 'namespace', team.namespace, 'nocreds.dev/permitted-roles-'])
    await waitFor('the label to go', 15_000, async () => {
      const { metadata } = await suite.kubectl.get<{
        readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      }>(['namespace', team.namespace])
      return metadata.labels['nocreds.dev/injection'] === undefined ? true : undefined
    })
  })
  debuggersAreRefused()
  commandsAreRefused()
  marksStay()

  test('the pod is still changed otherwise, and deleted', async () => {
    const body = { metadata: { labels: { mine: 'x' } } }
    expectAdmitted(
      await api({ method: 'PATCH', path: podPath(''), body, contentType: MERGE, as: DEV }),
    )
    expectAdmitted(await api({ method: 'DELETE', path: podPath(''), as: DEV }))
  })
})
