/** What stands around a pod: AWS and the cluster's issuer on loopback, authority and webhook as processes. */
import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { realClock } from '../../shared/base/clock.ts'
import { startIssuer, type Issuer } from '../../test/fakes/issuer.ts'
import { startSts, type Sts } from '../../test/fakes/sts/server.ts'
import { trustPolicy } from '../../test/fakes/sts/trust-policy.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { startAuthority, type Authority } from './authority.ts'
import { portOf, startProgram, stopProgram } from './program.ts'

const CLUSTER = join(import.meta.dirname, 'cluster')

export const ROLE = 'arn:aws:iam::111122223333:role/team-a/app'
const SUBJECT = 'system:serviceaccount:team-a:app'
/** Short, so that refreshes can be watched; real lifetimes are half an hour at least. */
const LIFETIME_SECONDS = 12

export interface Environment {
  readonly issuer: Issuer
  readonly sts: Sts
  readonly authority: Authority
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
export async function startEnvironment(folder: string): Promise<Environment> {
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
  const authority = await startAuthority(folder, issuer)
  const closeRest = async (): Promise<void> => {
    await Promise.all([authority.close(), sts.stop(), issuer.close()])
  }
  const webhook = await startWebhook(folder, {
    stsUrl: sts.url,
    authorityUrl: authority.url,
  }).catch(async (error: unknown) => {
    await closeRest()
    throw error
  })
  return {
    issuer,
    sts,
    authority,
    webhook,
    trust(subject) {
      sts.setTrust(ROLE, policyFor(subject))
    },
    async close() {
      await stopProgram(webhook.process)
      await closeRest()
    },
  }
}

/** The built webhook, standalone, with the flags that docs/install.md shows. */
async function startWebhook(
  folder: string,
  { stsUrl, authorityUrl }: { readonly stsUrl: string; readonly authorityUrl: string },
): Promise<Webhook> {
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
    '--sts-http': 'accepted', // the STS of the demo is on loopback
    '--certificate-source': 'authority',
    '--authority-url': authorityUrl,
  }
  const child = startProgram('webhook', flags)
  const port = await portOf(child)
  return { url: `https://127.0.0.1:${port}/mutate/pods?timeout=5s`, caPem, process: child }
}
