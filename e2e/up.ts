/** `node e2e/up.ts`: brings up the cluster of the suite, and keeps it. */
import { messageOf } from '../platform/errors.ts'
import { bringUp } from './cluster/bring-up.ts'
import { takeDown } from './cluster/take-down.ts'
import { hostOf, type Host } from './support/host.ts'

const host = hostOf(process.env, (line) => process.stdout.write(line))
let cluster: Host | undefined
try {
  const ready = await bringUp(host, (made) => {
    cluster = made
  })
  const { KUBECONFIG, DOCKER_HOST } = ready.env
  host.progress.say('the cluster is up; to look into it:')
  console.log(`export KUBECONFIG=${KUBECONFIG ?? ''}`)
  if (DOCKER_HOST !== undefined) console.log(`export DOCKER_HOST=${DOCKER_HOST}`)
  console.log('to remove it: node e2e/down.ts')
} catch (error) {
  console.error(`e2e: ${messageOf(error)}`)
  process.exitCode = 1
  await takeDown(host, { cluster, failed: true, keep: process.env['KEEP'] === '1' })
}
