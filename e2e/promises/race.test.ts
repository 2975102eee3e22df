/** A ServiceAccount that was made a moment before its pod: the webhook's cache need not know it yet. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isInjected } from '../support/pod-stream.ts'
import { closeSuite, createTeam, openSuite, type Suite, type Team } from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const TIMES = 100

interface Pods {
  readonly items: readonly Parameters<typeof isInjected>[0][]
}

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openSuite('race')
  team = await createTeam(suite, 'team')
}, 60_000)

afterAll(() => closeSuite(suite))

/** What a developer's file has; its pods are of a scheduler that does not exist, so none ever starts. */
function applicationFile(name: string): object[] {
  const metadata = { name, namespace: team.namespace }
  const labels = { app: name }
  return [
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata, annotations: { 'nocreds.dev/role-arn': team.role } },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: name,
            schedulerName: 'none',
            containers: [{ name: 'app', image: 'example/app:1' }],
          },
        },
      },
    },
  ]
}

test(`ServiceAccount and Deployment in one file, ${TIMES} times: each pod is injected`, async () => {
  for (let time = 0; time < TIMES; time += 1)
    await suite.kubectl.apply(...applicationFile(`app-${time}`))
  const { items } = await waitFor(`${TIMES} pods`, 60_000, async () => {
    const pods = await suite.kubectl.get<Pods>(['pods', '--namespace', team.namespace])
    return pods.items.length === TIMES ? pods : undefined
  })
  const bare = items.filter((pod) => !isInjected(pod, team.role))
  expect(bare.map(({ metadata }) => metadata.name)).toEqual([])
}, 300_000)
