import { notAfterOf } from '../contract/certificate-document.ts'
import { expirationOf } from '../contract/credentials.ts'
import { rowOf } from '../contract/delivery.ts'
import type {
  CertificateConfig,
  CredentialsConfig,
  SidecarConfig,
} from '../contract/exchanger-env.ts'
import { sleep, type Clock } from '../shared/base/clock.ts'
import { certificateFor, nameOf } from './failure.ts'
import { hasGateOpened, markGateOpened } from './gate-mark.ts'
import { readAuthorization } from './publish/authorization.ts'
import { readDocument } from './publish/store.ts'
import { readCertificate } from './publish/tls-folder.ts'
import { readTerminationMessage } from './sidecar/termination.ts'
import { sidecarSlotsOf } from './slots.ts'

const POLL_MS = 50
/** Longer than the 30 s after which the sidecar gives up, because its reason is more precise. */
const LIMIT_MS = 45_000

/** Why the gate stays closed. */
export interface NotReady {
  /** What is missing: `credentials of arn:…`. */
  readonly wanted: string
  /** Why the sidecar gave up, or that it took longer than 45 s. */
  readonly reason: string
}

interface GateDeps {
  readonly clock: Clock
  /** The file in which the sidecar says why it gives up. */
  readonly terminationMessageFile: string
}

/**
 * The gate: resolves with undefined once everything that an app requested is available. If it has opened before, it opens
 * after 45 s whatever is missing: the kubelet would stop a sidecar that keeps other items fresh.
 */
export async function waitUntilReady(
  config: SidecarConfig,
  { clock, terminationMessageFile }: GateDeps,
): Promise<NotReady | undefined> {
  const endMs = clock.monotonic() + LIMIT_MS
  for (;;) {
    const wanted = await missing(config, clock)
    if (wanted === undefined) {
      await markGateOpened(config)
      return undefined
    }
    const givenUp = await readTerminationMessage(terminationMessageFile)
    if (givenUp !== undefined) return { wanted, reason: givenUp }
    if (clock.monotonic() >= endMs) {
      const reason = 'see the log of the sidecar'
      return (await hasGateOpened(config)) ? undefined : { wanted, reason }
    }
    await sleep(clock, POLL_MS)
  }
}

/**
 * Checks once what the gate waits for; also used by the startup probe.
 *
 * @returns what is still missing, such as `credentials of arn:…`; undefined if nothing is
 */
export async function missing(
  { credentials, certificate }: SidecarConfig,
  clock: Clock,
): Promise<string | undefined> {
  return (
    (credentials && (await missingCredentials(credentials, clock))) ??
    (certificate && (await missingCertificate(certificate, clock)))
  )
}

/** Of several roles the first one that is missing. */
async function missingCredentials(
  config: CredentialsConfig,
  clock: Clock,
): Promise<string | undefined> {
  for (const { wanted } of sidecarSlotsOf(config)) {
    const missing = await missingRole(wanted, clock)
    if (missing !== undefined) return missing
  }
  return undefined
}

async function missingRole(config: CredentialsConfig, clock: Clock): Promise<string | undefined> {
  const { credentialsFolder, delivery } = config
  const document = await readDocument(credentialsFolder)
  const isAvailable =
    document !== undefined &&
    expirationOf(document) > clock.now() &&
    (!rowOf(delivery).files.includes('authorization') ||
      (await readAuthorization(credentialsFolder)) !== undefined)
  return isAvailable ? undefined : `credentials of ${nameOf(config)}`
}

async function missingCertificate(
  config: CertificateConfig,
  clock: Clock,
): Promise<string | undefined> {
  const document = await readCertificate(config.tlsFolder)
  const isAvailable = document !== undefined && notAfterOf(document) > clock.now()
  return isAvailable ? undefined : certificateFor(config)
}
