import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostOf, type Host } from '../support/host.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import { installNocreds, type Installed } from './install.ts'
import { providePrograms } from './programs.ts'

/** Names the version of Kubernetes; see `providePrograms`. */
export const VERSION_VARIABLE = 'NOCREDS_E2E_KUBERNETES'

/** An apiserver of one's own, with nocreds. */
export interface Harness extends ControlPlane {
  readonly nocreds: Installed
}

/**
 * Starts etcd, kube-apiserver and nocreds, in a folder that goes with them: some seconds, if the programs are built.
 *
 * @param host default: of this process
 */
export async function openHarness(
  host: Host = hostOf(process.env, (line) => process.stdout.write(line)),
): Promise<Harness> {
  const programs = await providePrograms(host, host.env[VERSION_VARIABLE])
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-apiserver-'))
  const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const plane = await startControlPlane(host, programs, folder).catch(async (error: unknown) => {
    await removeFolder()
    throw error
  })
  const stopPlane = async (): Promise<void> => {
    await plane.stop()
    await removeFolder()
  }
  const nocreds = await installNocreds(plane).catch(async (error: unknown) => {
    await stopPlane()
    throw error
  })
  return {
    ...plane,
    nocreds,
    async stop() {
      await nocreds.stop()
      await stopPlane()
    },
  }
}
