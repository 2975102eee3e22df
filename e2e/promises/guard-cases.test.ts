import { afterAll } from '@jest/globals'
import { authorityHas, authoritySettled, scaleAuthority } from '../support/certificates.ts'
import { hostOf } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { runGuardCases } from '../support/run-guard-cases.ts'

const host = hostOf(process.env, (line) => process.stdout.write(line))
const kubectl = kubectlOf(host)

runGuardCases(async () => {
  // It would write its own trust bundles over those of the cases, or remove them. No other test of this stage
  // asks it for anything.
  await scaleAuthority(kubectl, 0)
  await authorityHas(kubectl, 0)
  return kubectl
})
afterAll(async () => {
  await scaleAuthority(kubectl, 2)
  await authoritySettled({ host, kubectl })
}, 300_000)
