/** `npm run e2e-up`: brings up the cluster of the suite, and keeps it. */
import { messageOf } from '../shared/base/errors.ts'
import { bringUp } from './cluster/bring-up.ts'
import { takeDown } from './cluster/take-down.ts'
import { hostOf, type Host } from './support/host.ts'
import { interruption } from './support/interrupt.ts'

const write = (line: string): void => {
  process.stdout.write(line)
}

let cluster: Host | undefined
try {
  const host = hostOf(process.env, write, interruption())
  const { env } = await bringUp(host, (made) => {
    cluster = made
  })
  host.progress.say('the cluster is up; to look into it:')
  for (const name of ['KUBECONFIG', 'DOCKER_HOST', 'PATH'])
    if (env[name] !== process.env[name]) console.log(`export ${name}=${env[name] ?? ''}`)
  console.log('to remove it: npm run e2e-down')
} catch (error) {
  console.error(`e2e: ${messageOf(error)}`)
  process.exitCode = 1
  // Not by the host that may be interrupted: what was begun is taken down all the same.
  const keep = process.env['KEEP'] === '1'
  await takeDown(hostOf(process.env, write), { cluster, failed: true, keep })
}
