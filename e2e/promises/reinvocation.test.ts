import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { DELIVERY_NAMES } from '../../contract/delivery.ts'
import { startPeerWebhook, type PeerWebhook } from '../support/peer-webhook.ts'
import {
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmI,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

let suite: Suite
let team: Team
let peer: PeerWebhook

beforeAll(async () => {
  suite = await openSuite('reinvocation')
  team = await createTeam(suite, 'team')
  const container = { ...whoAmI('late'), name: 'late' }
  peer = await startPeerWebhook(suite.kubectl, `${suite.prefix}-peer`, { container })
  // After `nocreds` in the order of configurations, which is that of their names.
  await peer.register(`zz-${suite.prefix}`, team.namespace)
}, 180_000)

afterAll(async () => {
  await peer.remove()
  await closeSuite(suite)
}, 60_000)

test.each(DELIVERY_NAMES)(
  'a container that another webhook adds after the first call has credentials: %s',
  async (delivery) => {
    const annotations = { 'nocreds.dev/delivery': delivery }
    const metadata = { name: delivery, namespace: team.namespace, annotations }
    const spec = { ...podSpec(whoAmI()), restartPolicy: 'Never' }
    // A webhook that was made a moment ago is not called yet.
    await waitFor(`a pod with the container of the other webhook`, 60_000, async () => {
      await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
      const inNamespace = ['--namespace', team.namespace]
      const names = 'jsonpath={.spec.containers[*].name}'
      if (
        (await suite.kubectl(['get', 'pod', delivery, ...inNamespace, '-o', names])) === 'app late'
      )
        return true
      await suite.kubectl(['delete', 'pod', delivery, ...inNamespace])
      return undefined
    })
    for (const container of ['app', 'late'])
      expect(await identityOf(suite, team, delivery, container)).toEqual(team.identity)
    // It was called after the webhook of nocreds: the pod that it saw had the exchanger already.
    const exchangers = delivery === 'web-identity' ? [] : ['nocreds-exchanger']
    expect(await peer.seen()).toContainEqual({
      pod: delivery,
      seen: exchangers,
    })
  },
  150_000,
)
