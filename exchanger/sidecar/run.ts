import type { SidecarConfig } from '../../contract/exchanger-env.ts'
import { codeOf, type NocredsError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { certificateFor, SidecarError } from '../failure.ts'
import { hasGateOpened } from '../gate-mark.ts'
import { createMutex } from '../mutex.ts'
import { openCertificate } from './certificate.ts'
import { onlyRoleOf, openCredentials } from './credentials.ts'
import { opened, type RefreshTask, type TaskDeps, type SidecarDeps } from './task.ts'
import { untilStopped, writeTerminationMessage } from './termination.ts'

/**
 * Runs the sidecar until the signal stops it. Resolves with the exit code: 0, or 1 if it could not start or could not
 * obtain an initial item; the termination message then says why.
 */
export async function runSidecar(config: SidecarConfig, deps: SidecarDeps): Promise<number> {
  const log = deps.log(config.credentials && onlyRoleOf(config.credentials))
  const tasks: RefreshTask[] = []
  try {
    const reason = await keepFresh(config, deps, tasks)
    return reason === undefined ? 0 : await giveUp(deps, log, reason)
  } catch (error) {
    const { code, message, hint } = error as NocredsError // opened() converts every error
    log.error({ code, error: message, hint }, 'exchanger start failed')
    return await giveUp(deps, log, error as NocredsError)
  } finally {
    for (const task of tasks) task.close()
  }
}

/**
 * Resolves when it is stopped, with the error if an item was still missing. Tasks are independent; only one that
 * never obtained an item stops the others, and only before the gate has opened.
 *
 * @param tasks receives the opened tasks
 */
async function keepFresh(
  config: SidecarConfig,
  deps: SidecarDeps,
  tasks: RefreshTask[],
): Promise<NocredsError | undefined> {
  const { credentials, certificate } = config
  let onGiveUp: TaskDeps['onGiveUp'] = () => undefined
  const gaveUp = new Promise<SidecarError>((resolve) => (onGiveUp = resolve))
  const taskDeps: TaskDeps = {
    ...deps,
    exclusive: createMutex(),
    onGiveUp,
    hasGateOpened: await hasGateOpened(config),
  }
  if (credentials !== undefined) {
    tasks.push(...(await openCredentials(credentials, taskDeps)))
  }
  if (certificate !== undefined) {
    const what = { wanted: certificateFor(certificate), folder: certificate.tlsFolder }
    tasks.push(await opened(openCertificate(certificate, taskDeps), what))
  }
  if (!deps.signal.aborted) for (const { refresher } of tasks) refresher.start()
  try {
    return await Promise.race([gaveUp, stopped(deps.signal).then(() => missing(tasks))])
  } finally {
    for (const { refresher } of tasks) refresher.stop()
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

/** Why the first task with a closed gate has no item. */
function missing(tasks: readonly RefreshTask[]): SidecarError | undefined {
  const task = tasks.find(({ refresher }) => refresher.isGateClosed)
  if (task === undefined) return undefined
  const text = `no ${task.wanted}: stopped before the first attempt finished`
  return task.refresher.lastFailure ?? new SidecarError('transient', 'Stopped', text)
}

/** Writes the termination message, and waits to be stopped. */
async function giveUp(
  { clock, signal, terminationMessageFile: file }: SidecarDeps,
  log: Logger,
  reason: NocredsError,
): Promise<number> {
  try {
    await writeTerminationMessage(file, reason)
  } catch (error) {
    log.warn({ file, code: codeOf(error) }, 'termination message not written')
  }
  if (signal.aborted) return 0
  await untilStopped(clock, signal)
  return 1
}
