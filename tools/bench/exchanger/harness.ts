/** What every measurement of the exchanger needs: a folder, its programs as the image has them, a loopback. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { start, type Running } from '../../../test/fakes/exchanger-pod.ts'
import { bundlePrograms } from '../../build/programs.ts'
import { startLoopback, type Kept, type Loopback, type LoopbackPod } from './loopback.ts'

export interface Harness {
  /** Gone afterwards. */
  readonly folder: string
  readonly loopback: Loopback
  /** Path of the program; those it starts stand beside it. */
  readonly exchanger: string
}

/** @param lifetimeSeconds of credentials and certificates; 3600 if not given */
export async function withHarness<T>(
  measure: (harness: Harness) => Promise<T>,
  lifetimeSeconds?: number,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
  const loopback = await startLoopback(lifetimeSeconds)
  try {
    await bundlePrograms(folder, ['exchanger.mjs', 'exchange.mjs', 'certificate.mjs'])
    return await measure({ folder, loopback, exchanger: join(folder, 'exchanger.mjs') })
  } finally {
    await loopback.close()
    await rm(folder, { recursive: true })
  }
}

/** Runs a sidecar as long as the action takes. */
export async function withSidecar<T>(
  { loopback, exchanger }: Harness,
  kept: Kept,
  action: (sidecar: Running, pod: LoopbackPod) => Promise<T>,
): Promise<T> {
  const pod = await loopback.pod(kept)
  const sidecar = start(exchanger, 'run', pod.env)
  try {
    return await action(sidecar, pod)
  } finally {
    sidecar.kill('SIGTERM')
    await sidecar.exited
    await pod.remove()
  }
}

/** Resolves once all that is kept was published that many times; of several roles, on average. */
export async function published(sidecar: Running, kept: Kept, times: number): Promise<void> {
  const { said, exited } = sidecar
  const words: [text: string, times: number][] = [
    ['"credentials published"', kept.delivery === undefined ? 0 : times * (kept.roles ?? 1)],
    ['"certificate published"', kept.certificate === true ? times : 0],
  ]
  while (words.some(([text, expected]) => said.stdout.split(text).length <= expected)) {
    if (await Promise.race([exited.then(() => true), pause(20, false)])) {
      throw new Error(`the sidecar ended: ${said.stdout}${said.stderr}`)
    }
  }
}

/** As titles and figures name it: `process and a certificate`. */
export function nameOf({ delivery, certificate = false, roles = 1 }: Kept): string {
  if (delivery === undefined) return 'a certificate alone'
  if (roles > 1) return `delivery ${delivery} of ${roles} roles`
  return certificate ? `delivery ${delivery} and a certificate` : `delivery ${delivery}`
}
