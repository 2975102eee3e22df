/**
 * `make e2e`: brings up the cluster, runs the suite on it, and takes it down. `KEEP=1` keeps it. Arguments
 * go to Jest: `npm run e2e -- smoke` runs that file alone, not the stages.
 */
import { messageOf } from '../shared/base/errors.ts'
import { bringUp } from './cluster/bring-up.ts'
import { takeDown } from './cluster/take-down.ts'
import { everyStage, jest } from './stages.ts'
import { hostOf, MachineError, type Host } from './support/host.ts'
import { interruption } from './support/interrupt.ts'

const write = (line: string): void => {
  process.stdout.write(line)
}
let cluster: Host | undefined
let code = 1
try {
  const host = hostOf(process.env, write, interruption())
  const ready = await bringUp(host, (made) => {
    cluster = made
  })
  const args = process.argv.slice(2)
  code = args.length > 0 ? await jest(ready, args) : await everyStage(ready)
} catch (error) {
  const what = error instanceof MachineError ? 'e2e: not on this machine' : 'e2e'
  console.error(`${what}: ${messageOf(error)}`)
}
process.exitCode = code
// Not by the host that may be interrupted: what was begun is taken down all the same.
const keep = process.env['KEEP'] === '1'
await takeDown(hostOf(process.env, write), { cluster, failed: code !== 0, keep })
