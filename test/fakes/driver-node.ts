/** Test double: a node with a kubelet, a driver that runs on it as a program, an issuer and an STS. Never shipped. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AUTHORITY, TLS_FILES, TLS_VOLUME } from '../../contract/certificates.ts'
import { slotOf, slotsOf } from '../../contract/container-roles.ts'
import { parseCredentialDocument, type CredentialDocument } from '../../contract/credentials.ts'
import { DRIVER_VOLUME, toAttributes, type DriverRequest } from '../../contract/driver-volume.ts'
import { CREDENTIALS_FILES, CREDENTIALS_VOLUME, CSI_DRIVER } from '../../contract/names.ts'
import { parseRoleArn } from '../../contract/role-arn.ts'
import type { Pod } from '../../driver/pod-tokens.ts'
import { realClock } from '../../shared/base/clock.ts'
import { recordOutput } from '../leak-check.ts'
import type { TestAuthority } from './authority/server.ts'
import { makeKubeletFolders, startDriverKubelet, type DriverKubelet } from './driver-kubelet.ts'
import { makeMemoryFolder, removeFolder } from './driver-volumes.ts'
import type { LogLine } from './exchanger-samples.ts'
import { startIssuer, uidOf, type Issuer } from './issuer.ts'
import { ROLE_ALONE } from './role-alone.ts'
import type { Role } from './sts/actions.ts'
import { startSts, type Sts } from './sts/server.ts'
import { mayAssume } from './sts/target-role.ts'
import { trustPolicy } from './sts/trust-policy.ts'
import { throwawayCertificate } from './throwaway-certificate.ts'

const AUDIENCE = 'sts.amazonaws.com'
export const ROLE = 'arn:aws:iam::111122223333:role/app'

export const CREDENTIALS_ONLY: DriverRequest = {
  credentials: {
    roleArn: ROLE,
    sessionDurationSeconds: 3600,
    sessionName: '{namespace}.{serviceaccount}',
    audience: AUDIENCE,
    region: 'eu-central-1',
    ...ROLE_ALONE,
    defaultSessionTags: undefined,
  },
  certificate: undefined,
}

export interface DriverNodeOptions {
  /** Default: the newest. */
  readonly release?: '1.30' | '1.37'
  /** Longest lifetime that STS grants. */
  readonly lifetimeSeconds?: number
  /** The bundle of driver-main.ts. */
  readonly program: string
  /** Flags of Node, as the image has them. */
  readonly nodeFlags?: readonly string[]
  /** Further variables, as the image has them. */
  readonly env?: Readonly<Record<string, string>>
  /** Whether STS is reached by TLS; default: no. */
  readonly tls?: boolean
  /** Further roles, each of which {@link ROLE} may assume. */
  readonly targets?: readonly Role[]
  /** ARNs of further roles that trust the same ServiceAccounts as {@link ROLE}. */
  readonly more?: readonly string[]
  /** Further flags of the driver. */
  readonly flags?: readonly string[]
  /** Who issues certificates; default: nobody. */
  readonly authority?: Pick<TestAuthority, 'url' | 'trustBundle'>
}

export interface DriverNode {
  readonly kubelet: DriverKubelet
  readonly sts: Sts
  readonly issuer: Issuer
  readonly lines: LogLine[]
  readonly driver: () => ChildProcess
  /** Starts the driver, after {@link DriverNode.endDriver}. Resolves once it is registered. */
  startDriver(): Promise<void>
  endDriver(signal: NodeJS.Signals): Promise<number | null>
  /** Makes the pod's folders and publishes its volume, as a kubelet does when a pod starts. */
  startPod(pod: Pod, wanted?: DriverRequest): Promise<void>
  /** What a kubelet does every minute or two. */
  republish(pod: Pod, wanted?: DriverRequest): Promise<void>
  /** What a reboot of the node leaves of the pod's volumes in memory: nothing. */
  emptyVolumes(pod: Pod): Promise<void>
  stopPod(pod: Pod): Promise<void>
  /** @param slot of the role, if the pod has several */
  credentialsOf(pod: Pod, slot?: number): Promise<CredentialDocument>
  /** PEM, as an app reads it. */
  certificateOf(pod: Pod): Promise<{ key: string; certificate: string; trustBundle: string }>
  close(): Promise<void>
}

/** A pod with the uid that the issuer's tokens have. */
export function podNamed(name: string, serviceAccount = 'app', namespace = 'team-a'): Pod {
  return { uid: uidOf('pod', `${namespace}/${name}`), name, namespace, serviceAccount }
}

export async function startDriverNode({
  release = '1.37',
  lifetimeSeconds,
  program,
  nodeFlags = [],
  env = {},
  tls = false,
  targets = [],
  more = [],
  flags: moreFlags = [],
  authority,
}: DriverNodeOptions): Promise<DriverNode> {
  const issuer = await startIssuer({ clock: realClock })
  const subject = 'system:serviceaccount:team-a:*'
  const trustIn = (arn: string): Role['trust'] =>
    trustPolicy({
      issuer: issuer.url,
      subject,
      audience: AUDIENCE,
      accountId: parseRoleArn(arn)?.accountId ?? '',
    })
  const certificate = tls ? await throwawayCertificate(['127.0.0.1']) : undefined
  const sts = await startSts({
    clock: realClock,
    issuers: [issuer],
    roles: [
      { arn: ROLE, trust: trustIn(ROLE), permissions: targets.map(({ arn }) => mayAssume(arn)) },
      ...targets,
      ...more.map((arn) => ({ arn, trust: trustIn(arn) })),
    ],
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
    ...(certificate === undefined ? {} : { tls: certificate }),
  })
  const folder = await makeMemoryFolder()
  await makeKubeletFolders(folder, CSI_DRIVER)
  const kubelet = startDriverKubelet({ folder, driver: CSI_DRIVER, release })
  const lines: LogLine[] = []
  const volumesOf = (uid: string): string =>
    join(kubelet.podsFolder, uid, 'volumes/kubernetes.io~empty-dir')
  let driver: ChildProcess
  const node: DriverNode = {
    kubelet,
    sts,
    issuer,
    lines,
    driver: () => driver,
    async startDriver() {
      const flags = [...flagsFor(folder, sts.url, certificate?.caPem), ...moreFlags]
      if (authority !== undefined) {
        const file = join(folder, 'ca.crt')
        await writeFile(file, authority.trustBundle)
        flags.push('--authority-url', authority.url, '--trust-bundle-file', file)
      }
      driver = spawn(process.execPath, [...nodeFlags, program, ...flags], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...env },
      })
      driver.stdout?.setEncoding('utf8').on('data', (text: string) => {
        recordOutput(text)
        for (const line of text.trimEnd().split('\n')) lines.push(JSON.parse(line) as LogLine)
      })
      const exited = once(driver, 'exit').then(() => {
        throw new Error('the driver has exited before it was registered')
      })
      exited.catch(() => undefined) // later exits are of no concern here
      await Promise.race([kubelet.register(), exited])
    },
    async endDriver(signal) {
      const closed = once(driver, 'close')
      driver.kill(signal)
      return ((await closed) as [number | null])[0]
    },
    async startPod(pod, wanted = CREDENTIALS_ONLY) {
      const slots = wanted.credentials === undefined ? [] : slotsOf(wanted.credentials).slice(1)
      const others = slots.map(({ slot }) => slot.volume)
      for (const emptyDir of [CREDENTIALS_VOLUME.name, TLS_VOLUME.name, ...others])
        await kubelet.preparePod(pod, { emptyDir, csi: DRIVER_VOLUME.name })
      await node.republish(pod, wanted)
    },
    async republish(pod, wanted = CREDENTIALS_ONLY) {
      const { namespace, serviceAccount, name } = pod
      const tokens: Record<string, string> = {}
      for (const audience of [AUDIENCE, AUTHORITY.audience]) {
        const request = { namespace, serviceAccount, pod: name, audience, expiresInSeconds: 3600 }
        tokens[audience] = await issuer.mintToken(request)
      }
      const attributes = toAttributes(wanted)
      await kubelet.publish(pod, { volume: DRIVER_VOLUME.name, attributes, tokens })
    },
    async emptyVolumes({ uid }) {
      for (const name of await readdir(volumesOf(uid))) {
        const folder = join(volumesOf(uid), name)
        for (const one of await readdir(folder))
          await rm(join(folder, one), { recursive: true, force: true })
      }
    },
    async stopPod(pod) {
      await kubelet.unpublish(pod, DRIVER_VOLUME.name)
      await kubelet.removePod(pod)
    },
    async credentialsOf({ uid }, slot = 0) {
      const file = join(volumesOf(uid), slotOf(slot).volume, CREDENTIALS_FILES.document)
      return parseCredentialDocument(await readFile(file, 'utf8'))
    },
    async certificateOf({ uid }) {
      const folder = join(volumesOf(uid), TLS_VOLUME.name, TLS_VOLUME.publishedPath)
      const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
      return {
        key: await read(TLS_FILES.key),
        certificate: await read(TLS_FILES.certificate),
        trustBundle: await read(TLS_FILES.trustBundle),
      }
    },
    async close() {
      if (driver.exitCode === null && driver.signalCode === null) await node.endDriver('SIGKILL')
      await sts.stop()
      await issuer.close()
      await removeFolder(folder)
    },
  }
  await node.startDriver()
  return node
}

function flagsFor(folder: string, stsUrl: string, stsCa?: string): string[] {
  return [
    ...['--node', 'node-1', '--kubelet-folder', folder, '--metrics-port', '0'],
    ...['--sts-endpoint', stsUrl, '--sts-http', 'accepted'],
    ...(stsCa === undefined ? [] : [`--sts-ca=${stsCa}`]),
  ]
}
