import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readIfPresent } from '../../shared/base/files.ts'
import { compose, COMPOSED, foldersOf } from './compose.ts'

/** Writes manifests/install.yaml and install-driver.yaml; with --check, exits with 1 if one is not what would be written. */
const MANIFESTS = join(import.meta.dirname, '../../manifests')
const MAX_BYTES = 1_048_576

const [option, ...others] = process.argv.slice(2)
if (others.length > 0 || (option !== undefined && option !== '--check')) {
  console.error(`unknown option ${others[0] ?? option ?? ''}; allowed: --check`)
  process.exit(2)
}

for (const composed of COMPOSED) {
  const path = join(MANIFESTS, composed.file)
  const wanted = compose(composed, (file) => readFileSync(join(MANIFESTS, file), 'utf8'))
  if (option === undefined) {
    writeFileSync(path, wanted)
  } else if ((await readIfPresent(path, MAX_BYTES)) !== wanted) {
    console.error(
      `manifests/${composed.file} is not in sync with ${foldersOf(composed)}; run: npm run manifests`,
    )
    process.exitCode = 1
  }
}
