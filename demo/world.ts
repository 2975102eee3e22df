/** What stands around a pod: AWS and the cluster's issuer on loopback, and the webhook as a process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { realClock } from '../platform/clock.ts'
import { startIssuer, type Issuer } from '../testbed/issuer.ts'
import { startSts, type Sts } from '../testbed/sts/server.ts'
import { trustPolicy } from '../testbed/sts/trust-policy.ts'
import { throwawayCertificate } from '../testbed/throwaway-certificate.ts'

const REPOSITORY = join(import.meta.dirname, '..')
export const DIST = join(REPOSITORY, 'dist')
const CLUSTER = join(import.meta.dirname, 'cluster')

export const ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const SUBJECT = 'system:serviceaccount:team-a:app'
/** Short, so that refreshes can be watched; real lives are half an hour at least. */
const LIFETIME_SECONDS = 12

export interface World {
  readonly issuer: Issuer
  readonly sts: Sts
  readonly webhook: Webhook
  /** Makes the role trust this ServiceAccount, and no other. */
  trust(subject: string): void
  close(): Promise<void>
}

export interface Webhook {
  readonly url: string
  readonly caPem: string
  readonly process: ChildProcess
}

/** Starts everything; `folder` is the demo's own. */
export async function startWorld(folder: string): Promise<World> {
  const issuer = await startIssuer({ clock: realClock })
  const policyFor = (subject: string): ReturnType<typeof trustPolicy> =>
    trustPolicy({
      issuer: issuer.url,
      subject,
      audience: 'sts.amazonaws.com',
      accountId: '111122223333',
    })
  const sts = await startSts({
    clock: realClock,
    issuers: [issuer],
    roles: [{ arn: ROLE, trust: policyFor(SUBJECT) }],
    lifetimeSeconds: LIFETIME_SECONDS,
  })
  const webhook = await startWebhook(folder, sts.url)
  return {
    issuer,
    sts,
    webhook,
    trust(subject) {
      sts.setTrust(ROLE, policyFor(subject))
    },
    async close() {
      await stop(webhook.process)
      await Promise.all([sts.stop(), issuer.close()])
    },
  }
}

/** The built webhook, standalone, with the flags that the README shows. */
async function startWebhook(folder: string, stsUrl: string): Promise<Webhook> {
  const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  await Promise.all([writeFile(certFile, certPem), writeFile(keyFile, keyPem, { mode: 0o600 })])
  const flags = {
    '--objects': join(CLUSTER, 'objects.yaml'),
    '--exchanger-image': 'nocreds/exchanger:0.1.0',
    '--tls': 'files',
    '--tls-cert': certFile,
    '--tls-key': keyFile,
    '--port': '0',
    '--metrics-port': '0',
    '--default-region': 'eu-central-1',
    '--sts-endpoint': stsUrl,
  }
  const child = spawn(
    process.execPath,
    [join(DIST, 'webhook.mjs'), ...Object.entries(flags).flat()],
    {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const { port } = JSON.parse(await lineWith(child, 'webhook listens')) as { port: number }
  return { url: `https://127.0.0.1:${port}/mutate/pods?timeout=5s`, caPem, process: child }
}

/** The first line of the process's log with the text in it. */
function lineWith(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const seen: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        seen.push(line)
        if (line.includes(text)) resolve(line)
      })
    }
    child.once('error', reject)
    child.once('exit', (code) => {
      reject(new Error(`the webhook ended with ${String(code)}: ${seen.slice(-3).join(' ')}`))
    })
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}
