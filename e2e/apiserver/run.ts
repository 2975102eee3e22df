/**
 * `make e2e-apiserver`: the tests of this folder on kube-apiserver and etcd alone, in each version that nocreds is
 * tried with. Arguments go to Jest: `npm run e2e-apiserver -- guard`. `NOCREDS_E2E_KUBERNETES=1.30` takes one version.
 */
import { messageOf } from '../../shared/base/errors.ts'
import { jest } from '../stages.ts'
import { hostOf, MachineError, needDisk } from '../support/host.ts'
import { interruption } from '../support/interrupt.ts'
import { VERSION_VARIABLE } from './harness.ts'
import { providePrograms, VERSIONS } from './programs.ts'

/** Modules and build cache of Go for both versions; the programs themselves take 0.8 GB. */
const DISK_GIGABYTES = 6

const write = (line: string): void => {
  process.stdout.write(line)
}

try {
  const host = hostOf(process.env, write, interruption())
  await needDisk(host, DISK_GIGABYTES)
  const wanted = host.env[VERSION_VARIABLE]
  const [pattern = ''] = process.argv.slice(2)
  for (const version of wanted === undefined ? VERSIONS : [wanted]) {
    await providePrograms(host, version)
    host.progress.say(`Kubernetes ${version}`)
    const code = await jest(host.with({ [VERSION_VARIABLE]: version }), [
      `e2e/apiserver/.*${pattern}`,
    ])
    process.exitCode = Math.max(code, Number(process.exitCode ?? 0))
  }
} catch (error) {
  const what = error instanceof MachineError ? 'e2e: not on this machine' : 'e2e'
  console.error(`${what}: ${messageOf(error)}`)
  process.exitCode = 1
}
