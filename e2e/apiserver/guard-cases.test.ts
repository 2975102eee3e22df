/** The cases of the guard, as on the kind cluster of the suite. */
import { afterAll } from '@jest/globals'
import { runGuardCases } from '../support/run-guard-cases.ts'
import { openHarness, type Harness } from './harness.ts'

let harness: Harness | undefined

runGuardCases(async () => {
  harness = await openHarness()
  return harness.kubectl
})
afterAll(() => harness?.stop(), 60_000)
