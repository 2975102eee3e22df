/** Test double: the exchanger's programs as the image has them, for many pods on one machine. Never shipped. */
import { join } from 'node:path'
import { bundle, bundlePrograms } from '../../tools/build/programs.ts'

/** Bundles `exchanger.mjs` (see exchanger-main.ts), `exchange.mjs` and `certificate.mjs` into the folder. */
export async function bundleExchanger(folder: string): Promise<void> {
  await Promise.all([
    bundlePrograms(folder, ['exchange.mjs', 'certificate.mjs']),
    bundle('test/fakes/exchanger-main.ts', join(folder, 'exchanger.mjs')),
  ])
}
