/** The law of the informer: whatever happens, its copy converges to the state of the apiserver. */
import { expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import fc from 'fast-check'
import { FakeApiserver } from '../../../test/fakes/apiserver.ts'
import { eventually } from '../../../test/fakes/eventually.ts'
import { seededRandom, VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import { keepOwnAnnotations } from '../../../webhook/cluster/own-annotations.ts'
import type { Annotated } from '../../../webhook/cluster/types.ts'
import type { Logger } from '../../base/log.ts'
import { createKubeClient } from './kube.ts'
import { Reflector } from './reflector.ts'

const ROLE_ARN = 'nocreds.dev/role-arn'
const NAMES = ['a', 'b', 'c', 'd'] as const

const nothing = (): void => undefined
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

type Step =
  | { readonly what: 'write'; readonly name: string; readonly role: string }
  | { readonly what: 'delete'; readonly name: string }
  | { readonly what: 'pass time'; readonly seconds: number }
  | { readonly what: (typeof EVENTS)[number] }

const EVENTS = [
  'lag',
  'catch up',
  'bookmark',
  'end',
  'cut',
  'compact',
  'down',
  'up',
  '500',
] as const

const name = fc.constantFrom(...NAMES)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant('write'), name, role: fc.string() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('delete'), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('pass time'),
      seconds: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ what: fc.constantFrom(...EVENTS) }) },
)

const pathOf = (of: string): string => `/api/v1/namespaces/team-a/serviceaccounts/${of}`

/** One random history of a cluster with an informer that watches it. */
class Cluster {
  readonly #api = new FakeApiserver()
  readonly #clock = new VirtualClock()
  #up = true
  #reflector: Reflector<Annotated> | undefined

  async begin(): Promise<void> {
    await this.#api.start()
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      { name: 'fake', server: this.#api.url, skipTLSVerify: true },
      { name: 'webhook' },
    )
    this.#reflector = new Reflector({
      kube: createKubeClient(config),
      path: '/api/v1/serviceaccounts',
      kind: 'ServiceAccount',
      keep: ({ metadata }) => keepOwnAnnotations(metadata.annotations),
      clock: this.#clock,
      random: seededRandom(1),
      log: SILENT,
    })
    this.#reflector.start()
  }

  async suffer(step: Step): Promise<void> {
    const { store, watches } = this.#api
    if (step.what === 'write') {
      const metadata = { name: step.name, namespace: 'team-a' }
      store.write(pathOf(step.name), {
        metadata: { ...metadata, annotations: { [ROLE_ARN]: step.role } },
      })
    } else if (step.what === 'delete') {
      if (store.get(pathOf(step.name)) !== undefined) store.remove(pathOf(step.name))
    } else if (step.what === 'pass time') {
      await this.#clock.advance(step.seconds * 1000)
    } else if (step.what === 'lag') watches.hold()
    else if (step.what === 'catch up') watches.release()
    else if (step.what === 'bookmark') watches.bookmark()
    else if (step.what === 'end') watches.end('orderly')
    else if (step.what === 'cut') watches.end('cut')
    else if (step.what === 'compact') store.compact()
    else await this.#turn(step.what)
  }

  /** Ends all faults; resolves once the copy equals what is stored. */
  async heal(): Promise<void> {
    await this.#turn('up')
    this.#api.watches.release()
    await this.#soon(() => this.#isInSync())
    // It stays so, and the next change comes through the watch.
    await this.#soon(() => this.#api.watches.count === 1)
    await this.suffer({ what: 'write', name: 'last', role: 'role' })
    await this.#soon(() => this.#isInSync())
  }

  /** Lets time pass meanwhile, because the informer may be waiting. */
  #soon(condition: () => boolean): Promise<void> {
    return eventually(async () => {
      await this.#clock.advance(1000)
      return condition()
    })
  }

  async end(): Promise<void> {
    this.#reflector?.stop()
    if (this.#up) await this.#api.stop()
  }

  async #turn(how: 'down' | 'up' | '500'): Promise<void> {
    this.#api.fault = () => (how === '500' ? 500 : undefined)
    if (how === 'down' && this.#up) await this.#api.stop()
    if (how === 'up' && !this.#up) await this.#api.start()
    if (how !== '500') this.#up = how === 'up'
  }

  #isInSync(): boolean {
    const stored = this.#api.store.list(() => true)
    const isSame = stored.every(({ metadata }) => {
      const { annotations } = metadata as { annotations?: Readonly<Record<string, string>> }
      const copy = this.#reflector?.get(`team-a/${metadata.name ?? ''}`)
      return copy?.annotations[ROLE_ARN] === annotations?.[ROLE_ARN]
    })
    return isSame && this.#reflector?.ready === true && this.#reflector.size === stored.length
  }
}

/** Each run waits for real delays of servers. */
const RUNS = 60

test('whatever happened, the copy converges to the state of the apiserver, and continues', async () => {
  let checked = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const cluster = new Cluster()
      try {
        await cluster.begin()
        for (const one of steps) await cluster.suffer(one)
        await cluster.heal() // a copy that never gets there runs into the test's time limit
        checked += 1
      } finally {
        await cluster.end()
      }
    }),
    { numRuns: RUNS },
  )
  expect(checked).toBe(RUNS)
}, 120_000)
