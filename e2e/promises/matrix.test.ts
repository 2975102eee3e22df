import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DELIVERY_NAMES, type Delivery } from '../../contract/delivery.ts'
import {
  loadMatrixImages,
  MATRIX_APPS,
  matrixImage,
  type MatrixApp,
} from '../cluster/matrix-images.ts'
import { promisedIn, VERDICTS, workedIn, type Verdict } from '../matrix-verdicts.ts'
import {
  APP_ENV,
  closeSuite,
  createTeam,
  openSuite,
  podSpec,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'

/** Images without a shell have no way to run a credential_process. */
const deliveriesOf = (app: MatrixApp): readonly Delivery[] =>
  app === 'go' ? DELIVERY_NAMES.filter((delivery) => delivery !== 'process') : DELIVERY_NAMES
const CASES = MATRIX_APPS.flatMap((app) => deliveriesOf(app).map((delivery) => ({ app, delivery })))

const OBJECTS = ['s3:PutObject', 's3:GetObject']

/** Building, pulling or making the bases the first time. */
const IMAGES_TIMEOUT_MS = 1_800_000

interface Pod {
  readonly status: { readonly phase: string }
}

describe('every SDK finds the role by its default chain', () => {
  let suite: Suite
  const teams = new Map<Delivery, Team>()
  const verdicts: Verdict[] = []

  beforeAll(async () => {
    suite = await openSuite('matrix')
    await loadMatrixImages(suite.host)
    const other = `${suite.prefix}-other`
    await suite.aws.createBucket(other)
    for (const delivery of DELIVERY_NAMES) {
      const annotations = { 'nocreds.dev/delivery': delivery }
      const team = await createTeam(suite, delivery, { annotations })
      await suite.aws.createBucket(team.namespace)
      await suite.aws.permit(team.namespace, team.namespace, OBJECTS)
      teams.set(delivery, team)
    }
  }, IMAGES_TIMEOUT_MS)
  afterAll(async () => {
    await mkdir(dirname(VERDICTS), { recursive: true })
    await writeFile(VERDICTS, `${JSON.stringify(verdicts, undefined, 2)}\n`)
    await closeSuite(suite)
  })

  test.each(CASES)(
    '$app by $delivery',
    async ({ app, delivery }) => {
      const team = teams.get(delivery)!
      const verdict = { app, delivery, version: '', works: false }
      verdicts.push(verdict)

      const said = await run(app, team)
      expect(said).toEqual({
        version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        arn: team.identity.arn,
        got: 'hello',
        refused: 'AccessDenied',
      })
      Object.assign(verdict, { version: (said as { version: string }).version, works: true })
    },
    320_000,
  )

  test('the page promises what works, and nothing else', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/deliveries.md'), 'utf8')
    expect(promisedIn(page).sort()).toEqual(workedIn(verdicts).sort())
  })

  /** What the app printed, once it has ended well. */
  async function run(app: MatrixApp, { namespace }: Team): Promise<unknown> {
    const { kubectl, prefix } = suite
    const env = [
      ...APP_ENV,
      { name: 'AWS_DEFAULT_REGION', value: 'us-east-1' }, // Python's and the CLI's name of it
      { name: 'BUCKET', value: namespace },
      { name: 'OTHER_BUCKET', value: `${prefix}-other` },
    ]
    const container = { name: 'app', image: matrixImage(app), env }
    await kubectl.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: app, namespace },
      spec: { ...podSpec(container), restartPolicy: 'Never' },
    })
    const ended = await waitFor(`the end of pod ${app} in ${namespace}`, 300_000, async () => {
      const { status } = await kubectl.get<Pod>(['pod', app, '-n', namespace])
      return ['Succeeded', 'Failed'].includes(status.phase) ? status.phase : undefined
    })
    const log = await kubectl(['logs', app, '-n', namespace, '-c', 'app'])
    if (ended === 'Failed') throw new Error(`${app} failed in ${namespace}:\n${log}`)
    return JSON.parse(log)
  }
})
