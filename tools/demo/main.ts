/**
 * `make demo`: the whole main job with real processes on loopback. Only AWS, the cluster's issuer, the
 * apiserver and the kubelet are played (test/fakes/); webhook, authority and exchanger are the built programs (the
 * exchanger but for the path of its termination message), and the app is a plain program with the AWS SDK's
 * default chain.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../shared/base/errors.ts'
import { bundleExchanger } from '../../test/fakes/exchanger-programs.ts'
import { admit } from './admission.ts'
import { startMutualTls, watchRenewal } from './mutual-tls.ts'
import { exchangerImage, follow, runPod, type PodRun } from './pod-run.ts'
import { podFor, type Pod } from './pod.ts'
import { act, say, showDiff } from './show.ts'
import { ROLE, startWorld, type World } from './world.ts'

const LIMIT_MS = 55_000
const DELIVERIES = ['process', 'endpoint', 'web-identity'] as const

async function story(world: World, folder: string, runs: PodRun[]): Promise<void> {
  const stsUrl = world.sts.url
  act('A pod is applied; the webhook answers the apiserver')
  const plain = await podFor('app', 'app', { stsUrl })
  showDiff(plain, await admitted(world, plain))

  act('A pod with a role that its namespace does not permit is denied')
  const denied = await admit(world.webhook, await podFor('curious', 'curious', { stsUrl }))
  if (denied.allowed) throw new Error('a pod with a role of another team was admitted')
  say(`Error from server (Forbidden): ${denied.message}`)

  act('Two pods talk by mutual TLS, with certificates of the authority that live 60 s here')
  const caller = await startMutualTls(world, async (pod) =>
    start(await admitted(world, pod), world, folder, runs),
  )

  act('The admitted pods run, one for each delivery; credentials live 12 s here')
  await Promise.all(
    DELIVERIES.map(async (delivery) => {
      const pod = await admitted(
        world,
        await podFor(`app-${delivery}`, 'app', { delivery, stsUrl }),
      )
      await watchThreeSets(delivery, await start(pod, world, folder, runs))
    }),
  )
  refreshesWereSeen(world)

  act('The role now trusts another ServiceAccount: the pod says why it has no credentials')
  world.trust('system:serviceaccount:team-a:somebody-else')
  await showRefusal(world, folder, runs)

  act('The certificates of both pods are renewed; the first connection stays open')
  await watchRenewal(caller)
}

async function admitted(world: World, pod: Pod): Promise<Pod> {
  const admission = await admit(world.webhook, pod)
  if (!admission.allowed) throw new Error(`the pod was denied: ${admission.message}`)
  return admission.pod
}

async function start(pod: Pod, world: World, folder: string, runs: PodRun[]): Promise<PodRun> {
  const run = await runPod(pod, world, folder)
  runs.push(run)
  return run
}

/** The app starts when the gate opens, and ends once it has used three sets of credentials. */
async function watchThreeSets(delivery: string, run: PodRun): Promise<void> {
  if (run.sidecar !== undefined) {
    follow(run.sidecar, 'exchanger')
    const gate = await run.sidecar.postStart
    if (gate?.code !== 0)
      throw new Error(`${delivery}: the gate did not open: ${gate?.output ?? ''}`)
  }
  const app = await run.start('app')
  follow(app, delivery)
  await run.prepared.rotateToken()
  say('the kubelet has rotated the token', delivery)
  const { code } = await app.exited
  if (code !== 0) throw new Error(`${delivery}: the app ended with ${String(code)}`)
  await run.close()
}

/** Every exchange must have worked, and each sidecar must have made at least three. */
function refreshesWereSeen({ sts }: World): void {
  const exchanges = sts.calls.filter((call) => call.action === 'AssumeRoleWithWebIdentity')
  const refused = exchanges.find((call) => call.outcome !== 'success')
  if (refused !== undefined) throw new Error(`an exchange failed: ${refused.outcome}`)
  say(`STS gave ${exchanges.length} sets of credentials for ${ROLE}; none was used past its end`)
}

async function showRefusal(world: World, folder: string, runs: PodRun[]): Promise<void> {
  const pod = await admitted(world, await podFor('refused', 'app', { stsUrl: world.sts.url }))
  const run = await start(pod, world, folder, runs)
  if (run.sidecar === undefined) throw new Error('the pod has no sidecar')
  follow(run.sidecar, 'exchanger')
  const { code, terminationMessage } = await run.sidecar.exited
  if (code !== 1 || !terminationMessage.startsWith('AccessDenied: ')) {
    throw new Error(`the sidecar ended with ${String(code)}: ${terminationMessage}`)
  }
  say('kubectl describe pod:')
  say(`  Last State: Terminated   Exit Code: 1   Message: ${terminationMessage}`)
  const app = await run.start('app')
  if ((await app.exited).code === 0) throw new Error('the app found credentials all the same')
  say('the SDK of the app finds no credentials either, and no node role')
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-demo-'))
  const runs: PodRun[] = []
  let world: World | undefined
  try {
    act('AWS, the issuer of the cluster, authority and webhook start on loopback')
    await bundleExchanger(exchangerImage(folder))
    world = await startWorld(folder)
    say(`issuer    ${world.issuer.url}`)
    say(`STS       ${world.sts.url}`)
    say(`authority ${world.authority.url}`)
    say(`webhook   ${world.webhook.url}`)
    await story(world, folder, runs)
    act('Done: no key was created, stored or rotated by anyone')
  } finally {
    await Promise.all(runs.map((run) => run.close()))
    await world?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

const limit = setTimeout(() => {
  console.error(`demo failed: it took longer than ${LIMIT_MS / 1000} s`)
  process.exit(1)
}, LIMIT_MS)
try {
  await main()
} catch (error) {
  console.error(`demo failed: ${messageOf(error)}`)
  process.exitCode = 1
} finally {
  clearTimeout(limit)
}
