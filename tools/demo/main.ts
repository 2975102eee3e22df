/**
 * `make demo`: the whole main job with real processes on loopback. Only AWS, the cluster's issuer, the
 * apiserver and the kubelet are fakes (test/fakes/); webhook, authority, exchanger and driver are the real programs (the
 * exchanger but for the path of its termination message, the driver but for root and mounts), and the app is a plain
 * program with the AWS SDK's default chain.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DELIVERY_NAMES } from '../../contract/delivery.ts'
import { messageOf } from '../../shared/base/errors.ts'
import { bundleExchanger } from '../../test/fakes/exchanger-programs.ts'
import { admit } from './admission.ts'
import { showFailedMount, showShared, startNode, watchDriver, type Node } from './driver.ts'
import { ROLE, startEnvironment, type Environment } from './environment.ts'
import { startMutualTls, watchRenewal } from './mutual-tls.ts'
import { exchangerImage, follow, runPod, type PodRun } from './pod-run.ts'
import { podFor, type Pod } from './pod.ts'
import { step, say, showDiff } from './show.ts'

const LIMIT_MS = 55_000

/** All that runs, for the parts of the scenario. */
interface Stage {
  readonly environment: Environment
  readonly node: Node
  readonly folder: string
  /** Grows with each pod. */
  readonly runs: PodRun[]
}

async function scenario(stage: Stage): Promise<void> {
  const { environment } = stage
  const stsUrl = environment.sts.url
  step('A pod is applied; the webhook answers the apiserver')
  const plain = await podFor('app', 'app', { stsUrl })
  showDiff(plain, await admitted(environment, plain))

  step('A pod with a role that its namespace does not permit is denied')
  const denied = await admit(environment.webhook, await podFor('curious', 'curious', { stsUrl }))
  if (denied.allowed) throw new Error('a pod with a role of another team was admitted')
  say(`Error from server (Forbidden): ${denied.message}`)

  step(
    'Two pods talk by mutual TLS, with certificates of the authority that are valid for 60 s here',
  )
  const caller = await startMutualTls(environment, async (pod) =>
    start(await admitted(environment, pod), stage),
  )

  step('Two pods take the driver of their node: no sidecar, no token')
  const driven = await startDriven(stage)

  step('The admitted pods run, one for each delivery; credentials are valid for 12 s here')
  await Promise.all([
    watchDriver(driven),
    ...DELIVERY_NAMES.map(async (delivery) => {
      const pod = await podFor(`app-${delivery}`, 'app', { delivery, stsUrl })
      await watchThreeSets(delivery, await start(await admitted(environment, pod), stage))
    }),
  ])
  refreshesWereSeen(environment)

  step('The role now trusts another ServiceAccount: the pod says why it has no credentials')
  environment.trust('system:serviceaccount:team-a:somebody-else')
  await showRefusal(stage)
  const refused = await podFor('refused-driver', 'app', { exchanger: 'driver', stsUrl })
  await showFailedMount(await admitted(environment, refused), stage.node)

  step('The certificates of both pods are renewed; the first connection stays open')
  await watchRenewal(caller)
}

async function admitted(environment: Environment, pod: Pod): Promise<Pod> {
  const admission = await admit(environment.webhook, pod)
  if (!admission.allowed) throw new Error(`the pod was denied: ${admission.message}`)
  return admission.pod
}

async function start(pod: Pod, { environment, folder, runs }: Stage): Promise<PodRun> {
  const run = await runPod(pod, environment, folder)
  runs.push(run)
  return run
}

async function startDriven({ environment, node, runs }: Stage): Promise<readonly PodRun[]> {
  const stsUrl = environment.sts.url
  const driven: PodRun[] = []
  for (const name of ['driven-1', 'driven-2']) {
    const plain = await podFor(name, 'app', { exchanger: 'driver', stsUrl })
    const pod = await admitted(environment, plain)
    if (driven.length === 0) showDiff(plain, pod)
    driven.push(await node.run(pod))
  }
  runs.push(...driven)
  await showShared(environment, driven)
  return driven
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
function refreshesWereSeen({ sts }: Environment): void {
  const exchanges = sts.calls.filter((call) => call.action === 'AssumeRoleWithWebIdentity')
  const refused = exchanges.find((call) => call.outcome !== 'success')
  if (refused !== undefined) throw new Error(`an exchange failed: ${refused.outcome}`)
  say(
    `STS gave ${exchanges.length} sets of credentials for ${ROLE}; none was used after it expired`,
  )
}

async function showRefusal(stage: Stage): Promise<void> {
  const { environment } = stage
  const pod = await podFor('refused', 'app', { stsUrl: environment.sts.url })
  const run = await start(await admitted(environment, pod), stage)
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
  let environment: Environment | undefined
  let node: Node | undefined
  try {
    step('AWS, the issuer of the cluster, authority, webhook and driver start on loopback')
    await bundleExchanger(exchangerImage(folder))
    environment = await startEnvironment(folder)
    node = await startNode(environment, folder)
    say(`issuer    ${environment.issuer.url}`)
    say(`STS       ${environment.sts.url}`)
    say(`authority ${environment.authority.url}`)
    say(`webhook   ${environment.webhook.url}`)
    say(`driver    ${node.socket}`)
    await scenario({ environment, node, folder, runs })
    step('Done: no key was created, stored or rotated by anyone')
  } finally {
    await Promise.all(runs.map((run) => run.close()))
    await node?.close()
    await environment?.close()
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
