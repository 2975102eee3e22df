/** An STS and an authority on loopback, over TLS as the real ones are, and pods whose sidecars ask them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { AUTHORITY } from '../../../contract/certificates.ts'
import { MAX_ROLES } from '../../../contract/container-roles.ts'
import type { SidecarDelivery } from '../../../contract/delivery.ts'
import { realClock } from '../../../shared/base/clock.ts'
import { listen } from '../../../shared/base/server.ts'
import { startAuthority } from '../../../test/fakes/authority/server.ts'
import { makeCertifiedPod } from '../../../test/fakes/exchanger-certificates.ts'
import { makePod } from '../../../test/fakes/exchanger-pod.ts'
import { CONFIG } from '../../../test/fakes/exchanger-samples.ts'
import { startIssuer } from '../../../test/fakes/issuer.ts'
import { startSts } from '../../../test/fakes/sts/server.ts'
import { trustPolicy } from '../../../test/fakes/sts/trust-policy.ts'
import { throwawayCertificate } from '../../../test/fakes/throwaway-certificate.ts'
import { imageEnv } from '../../build/image-env.ts'

/** What a sidecar keeps fresh: credentials if there is a delivery, a certificate, or both. */
export interface Kept {
  readonly delivery?: SidecarDelivery
  readonly certificate?: boolean
  /** Roles of the pod, from 1 to {@link MAX_ROLES}; 1 if not given. */
  readonly roles?: number
}

/** A pod with good tokens; what is published in it is in memory, as in a cluster. */
export interface LoopbackPod {
  readonly credentialsFolder: string
  /** Of the sidecar: what the webhook writes, what the image sets, and the CA of the loopback STS. */
  readonly env: Readonly<Record<string, string>>
  remove(): Promise<void>
}

export interface Loopback {
  pod(kept: Kept): Promise<LoopbackPod>
  close(): Promise<void>
}

/** @param lifetimeSeconds of credentials and certificates; 3600 if not given */
export async function startLoopback(lifetimeSeconds = 3600): Promise<Loopback> {
  const { roleArn, namespace, serviceAccount, audience, pod: name } = CONFIG
  const issuer = await startIssuer({ clock: realClock })
  const subject = `system:serviceaccount:${namespace}:${serviceAccount}`
  const trust = trustPolicy({ issuer: issuer.url, subject, audience, accountId: '111122223333' })
  const arns = Array.from(
    { length: MAX_ROLES },
    (_, slot) => roleArn + (slot > 0 ? `-${slot}` : ''),
  )
  const roles = arns.map((arn) => ({ arn, trust }))
  const sts = await startSts({ clock: realClock, issuers: [issuer], roles, lifetimeSeconds })
  const { caPem, certPem: cert, keyPem: key } = await throwawayCertificate(['127.0.0.1'])
  const front = inFrontOf(Number(new URL(sts.url).port), { cert, key })
  const stsEndpoint = `https://127.0.0.1:${await listen(front, 0, '127.0.0.1')}`
  const request = { namespace, serviceAccount, pod: name, audience, expiresInSeconds: 86_400 }
  const token = await issuer.mintToken(request)
  const forAuthority = await issuer.mintToken({ ...request, audience: AUTHORITY.audience })
  const isGood = (jwt: string): boolean => jwt === forAuthority
  const who = { namespace, serviceAccount, isGood }
  const authority = await startAuthority({ clock: realClock, ...who, lifetimeSeconds })
  return {
    async pod({ delivery, certificate = false, roles: count = 1 }) {
      const memory = mkdtempSync('/dev/shm/nocreds-bench-')
      const credentialsFolder = join(memory, 'aws')
      const containerRoleArns = count > 1 ? arns.slice(1, count) : undefined
      const settings = delivery === undefined ? {} : { delivery, containerRoleArns }
      const pod = await makePod({ ...settings, stsEndpoint, credentialsFolder })
      await pod.putToken(token)
      const folder = dirname(pod.config.tokenFile)
      const ca = join(folder, 'ca.crt')
      writeFileSync(ca, caPem)
      const place = { authorityUrl: authority.url, tlsFolder: join(memory, 'tls') }
      const certified = await makeCertifiedPod(place, delivery && pod.config)
      await certified.putToken(forAuthority)
      await certified.putTrustBundle(authority.trustBundle)
      const { env } = certificate ? certified : pod
      return {
        credentialsFolder,
        env: { ...env, ...imageEnv('exchanger'), NODE_EXTRA_CA_CERTS: ca },
        async remove() {
          for (const one of [folder, memory]) rmSync(one, { recursive: true })
          await certified.remove()
        },
      }
    },
    async close() {
      front.close()
      await Promise.all([sts.stop(), authority.stop(), issuer.close()])
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
