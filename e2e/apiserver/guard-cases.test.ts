/** The cases of the guard, as on the kind cluster of the suite. */
import { afterAll } from '@jest/globals'
import { runGuardCases } from '../support/run-guard-cases.ts'
import { openHarness, VERSION_VARIABLE, type Harness } from './harness.ts'
import { versionOf } from './programs.ts'

let harness: Harness | undefined

const { lacks } = versionOf(process.env[VERSION_VARIABLE])

runGuardCases(
  async () => {
    harness = await openHarness()
    // It would write its own trust bundles over those of the cases, or remove them.
    await harness.nocreds.stop('nocreds-authority')
    return harness.kubectl
  },
  { lacks },
)
afterAll(() => harness?.stop(), 60_000)
