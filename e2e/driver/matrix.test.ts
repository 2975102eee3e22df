/** The SDK matrix by the driver: what works by delivery `process` works without a sidecar. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadMatrixImages, MATRIX_APPS } from '../cluster/matrix-images.ts'
import { BY_DRIVER, openDriverSuite } from '../support/driver.ts'
import { createMatrixTeam, createOtherBucket, expectRole } from '../support/matrix-app.ts'
import { closeSuite, type Suite, type Team } from '../support/suite.ts'

/** Go's image has no shell, which delivery `process` needs. */
const APPS = MATRIX_APPS.filter((app) => app !== 'go')

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openDriverSuite('driver-matrix')
  await loadMatrixImages(suite.host, APPS)
  await createOtherBucket(suite)
  team = await createMatrixTeam(suite, 'team', BY_DRIVER.annotations)
}, 1_800_000)

afterAll(() => closeSuite(suite))

test(`at once: ${APPS.join(', ')}`, async () => {
  const versions = await Promise.all(APPS.map((app) => expectRole(suite, app, team)))
  expect(versions).toHaveLength(APPS.length)
}, 400_000)
