import { afterAll } from '@jest/globals'
import { authoritySettled } from '../support/certificates.ts'
import { hostOf } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { runGuardCases } from '../support/run-guard-cases.ts'
import { waitFor } from '../support/wait.ts'

const host = hostOf(process.env, (line) => process.stdout.write(line))
const kubectl = kubectlOf(host)
const SYSTEM = ['--namespace', 'nocreds-system']
const AUTHORITY = 'nocreds-authority'

async function scaleAuthority(replicas: number): Promise<void> {
  await kubectl(['scale', `deployment/${AUTHORITY}`, `--replicas=${replicas}`, ...SYSTEM])
}

runGuardCases(async () => {
  // It would write its own trust bundles over those of the cases, or remove them. No other test of this stage
  // asks it for anything.
  await scaleAuthority(0)
  await waitFor('the authority to end', 90_000, async () => {
    const selector = ['--selector', `app.kubernetes.io/name=${AUTHORITY}`]
    const pods = await kubectl.get<{ items: unknown[] }>(['pods', ...selector, ...SYSTEM])
    return pods.items.length === 0 ? true : undefined
  })
  return kubectl
})
afterAll(async () => {
  await scaleAuthority(2)
  await authoritySettled({ host, kubectl })
}, 300_000)
