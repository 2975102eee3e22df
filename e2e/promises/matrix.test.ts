import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DELIVERY_NAMES, type Delivery } from '../../contract/delivery.ts'
import { loadMatrixImages, MATRIX_APPS, type MatrixApp } from '../cluster/matrix-images.ts'
import { promisedIn, VERDICTS, workedIn, type Verdict } from '../matrix-verdicts.ts'
import { createMatrixTeam, createOtherBucket, expectRole } from '../support/matrix-app.ts'
import { closeSuite, openSuite, type Suite, type Team } from '../support/suite.ts'
import { REPOSITORY } from '../versions.ts'

/** Images without a shell have no way to run a credential_process. */
const deliveriesOf = (app: MatrixApp): readonly Delivery[] =>
  app === 'go' ? DELIVERY_NAMES.filter((delivery) => delivery !== 'process') : DELIVERY_NAMES
const CASES = MATRIX_APPS.flatMap((app) => deliveriesOf(app).map((delivery) => ({ app, delivery })))

/** Building, pulling or making the bases the first time. */
const IMAGES_TIMEOUT_MS = 1_800_000

describe('every SDK finds the role by its default chain', () => {
  let suite: Suite
  const teams = new Map<Delivery, Team>()
  const verdicts: Verdict[] = []

  beforeAll(async () => {
    suite = await openSuite('matrix')
    await loadMatrixImages(suite.host)
    await createOtherBucket(suite)
    for (const delivery of DELIVERY_NAMES) {
      const annotations = { 'nocreds.dev/delivery': delivery }
      teams.set(delivery, await createMatrixTeam(suite, delivery, annotations))
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
      const verdict = { app, delivery, version: '', works: false }
      verdicts.push(verdict)
      const version = await expectRole(suite, app, teams.get(delivery)!)
      Object.assign(verdict, { version, works: true })
    },
    320_000,
  )

  test('the page promises what works, and nothing else', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/deliveries.md'), 'utf8')
    expect(promisedIn(page).sort()).toEqual(workedIn(verdicts).sort())
  })
})
