/** An STS on loopback, over TLS as the real one is, and pods whose sidecars ask it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { imageEnv } from '../../build/image-env.ts'
import { realClock } from '../../platform/clock.ts'
import { listen } from '../../platform/server.ts'
import { makePod, type Pod } from '../../testbed/exchanger-pod.ts'
import { CONFIG } from '../../testbed/exchanger-samples.ts'
import { startIssuer } from '../../testbed/issuer.ts'
import { startSts } from '../../testbed/sts/server.ts'
import { trustPolicy } from '../../testbed/sts/trust-policy.ts'
import { throwawayCertificate } from '../../testbed/throwaway-certificate.ts'

export type Delivery = 'process' | 'endpoint'

/** A pod with a good token; its credentials volume is in memory, as in a cluster. */
export interface LoopbackPod {
  readonly pod: Pod
  /** Of the sidecar: what the webhook writes, what the image sets, and the CA of the loopback STS. */
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

export interface Loopback {
  pod(delivery: Delivery): Promise<LoopbackPod>
  close(): Promise<void>
}

/** @param lifetimeSeconds of the credentials; 3600 where not given */
export async function startLoopback(lifetimeSeconds = 3600): Promise<Loopback> {
  const { roleArn, namespace, serviceAccount, audience, pod: name } = CONFIG
  const issuer = await startIssuer({ clock: realClock })
  const subject = `system:serviceaccount:${namespace}:${serviceAccount}`
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  const roles = [{ arn: roleArn, trust }]
  const sts = await startSts({ clock: realClock, issuers: [issuer], roles, lifetimeSeconds })
  const { caPem, certPem: cert, keyPem: key } = await throwawayCertificate(['127.0.0.1'])
  const front = inFrontOf(Number(new URL(sts.url).port), { cert, key })
  const stsEndpoint = `https://127.0.0.1:${await listen(front, 0, '127.0.0.1')}`
  const request = { namespace, serviceAccount, pod: name, audience, expiresInSeconds: 86_400 }
  const token = await issuer.mintToken(request)
  return {
    async pod(delivery) {
      const memory = mkdtempSync('/dev/shm/nocreds-bench-')
      const credentialsFolder = join(memory, 'aws')
      const pod = await makePod({ stsEndpoint, delivery, credentialsFolder })
      const folder = dirname(pod.config.tokenFile)
      const ca = join(folder, 'ca.crt')
      writeFileSync(ca, caPem)
      await pod.putToken(token)
      const env = { ...pod.env, ...imageEnv('exchanger'), NODE_EXTRA_CA_CERTS: ca }
      return {
        pod,
        env,
        remove() {
          for (const one of [folder, memory]) rmSync(one, { recursive: true })
        },
      }
    },
    async close() {
      front.close()
      await Promise.all([sts.stop(), issuer.close()])
    },
  }
}

/** TLS in front of a server that speaks none. */
function inFrontOf(port: number, certificate: { cert: string; key: string }): Server {
  return createServer(certificate, (socket) => {
    const behind = connect(port, '127.0.0.1')
    socket.on('error', () => behind.destroy())
    behind.on('error', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
}
