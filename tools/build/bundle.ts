/** `npm run build`: bundles every program into dist/. */
import { join } from 'node:path'
import { bundlePrograms } from './programs.ts'

for (const { program, bytes } of await bundlePrograms(join(import.meta.dirname, '../../dist'))) {
  console.log(`dist/${program}  ${(bytes / 1024).toFixed(0)} KiB`)
}
