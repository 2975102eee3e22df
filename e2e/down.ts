/** `npm run e2e-down`: deletes the cluster of the suite, and ends the Docker engine if it is our own. */
import { takeDown } from './cluster/take-down.ts'
import { hostOf } from './support/host.ts'

const host = hostOf(process.env, (line) => process.stdout.write(line))
await takeDown(host, { cluster: undefined, failed: false, keep: false })
