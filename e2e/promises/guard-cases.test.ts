import { hostOf } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { runGuardCases } from '../support/run-guard-cases.ts'

runGuardCases(() =>
  Promise.resolve(kubectlOf(hostOf(process.env, (line) => process.stdout.write(line)))),
)
