import type { SidecarConfig } from '../../contract/exchanger-env.ts'
import { codeOf, messageOf, NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { certificateFor, SidecarError, exchangeOf } from '../failure.ts'
import { turns } from '../mutex.ts'
import { openCertificate } from './certificate.ts'
import { openCredentials } from './credentials.ts'
import type { Part, TaskDeps, SidecarDeps } from './task.ts'
import { untilStopped, writeTerminationMessage } from './termination.ts'

/**
 * The sidecar's life. It resolves once the signal comes, with the exit code: 0, or 1 where it could not
 * start or a first one of what it is to keep could not be had; the termination message then says why.
 */
export async function runSidecar(config: SidecarConfig, deps: SidecarDeps): Promise<number> {
  const log = deps.log(config.credentials?.roleArn)
  const parts: Part[] = []
  try {
    const reason = await keepFresh(config, deps, parts)
    return reason === undefined ? 0 : await giveUp(deps, log, reason)
  } catch (error) {
    const { code, message, hint } = error as NocredsError // which opened() makes of anything
    log.error({ code, reason: message, hint }, 'exchanger cannot start')
    return await giveUp(deps, log, error as NocredsError)
  } finally {
    for (const part of parts) part.close()
  }
}

/**
 * Resolves when it ends, with the reason where something was missing up to then. Each part goes its own
 * way; only one that never had anything ends the others.
 *
 * @param parts gets those that are open
 */
async function keepFresh(
  { credentials, certificate }: SidecarConfig,
  deps: SidecarDeps,
  parts: Part[],
): Promise<NocredsError | undefined> {
  let onGiveUp: TaskDeps['onGiveUp'] = () => undefined
  const gaveUp = new Promise<SidecarError>((resolve) => (onGiveUp = resolve))
  const partDeps: TaskDeps = { ...deps, alone: turns(), onGiveUp }
  if (credentials !== undefined) {
    const place = { wanted: exchangeOf(credentials), folder: credentials.credentialsFolder }
    parts.push(await opened(openCredentials(credentials, partDeps), place))
  }
  if (certificate !== undefined) {
    const place = { wanted: certificateFor(certificate), folder: certificate.tlsFolder }
    parts.push(await opened(openCertificate(certificate, partDeps), place))
  }
  if (!deps.signal.aborted) for (const { refresher } of parts) refresher.start()
  try {
    return await Promise.race([gaveUp, stopped(deps.signal).then(() => missing(parts))])
  } finally {
    for (const { refresher } of parts) refresher.stop()
  }
}

async function opened(
  part: Promise<Part>,
  { wanted, folder }: { readonly wanted: string; readonly folder: string },
): Promise<Part> {
  try {
    return await part
  } catch (error) {
    if (error instanceof NocredsError) throw error // the endpoint's own
    const what = codeOf(error) ?? messageOf(error)
    throw new NocredsError(
      'ERR_SIDECAR_START',
      `no ${wanted}: the folder ${folder} cannot be used: ${what}`,
    )
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      resolve()
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** Why there is none of what the first part with a shut gate was to keep. */
function missing(parts: readonly Part[]): SidecarError | undefined {
  const part = parts.find(({ refresher }) => refresher.isGateShut)
  if (part === undefined) return undefined
  const text = `no ${part.wanted}: stopped before the first one ended`
  return part.refresher.lastFailure ?? new SidecarError('transient', 'Stopped', text)
}

/** Says why, and waits to be stopped. */
async function giveUp(
  { clock, signal, terminationMessageFile: file }: SidecarDeps,
  log: Logger,
  reason: NocredsError,
): Promise<number> {
  try {
    await writeTerminationMessage(file, reason)
  } catch (error) {
    log.warn({ file, code: codeOf(error) }, 'no termination message')
  }
  if (signal.aborted) return 0
  await untilStopped(clock, signal)
  return 1
}
