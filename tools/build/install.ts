import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readIfPresent } from '../../shared/base/files.ts'
import { compose } from './compose.ts'

/** Writes manifests/install.yaml; with --check, exits with 1 if it is not what would be written. */
const MANIFESTS = join(import.meta.dirname, '../../manifests')
const INSTALL = join(MANIFESTS, 'install.yaml')
const MAX_BYTES = 1_048_576

const [option, ...others] = process.argv.slice(2)
if (others.length > 0 || (option !== undefined && option !== '--check')) {
  console.error(`unknown option ${others[0] ?? option ?? ''}; allowed: --check`)
  process.exit(2)
}

const wanted = compose(['base', 'authority', 'guard'], (path) =>
  readFileSync(join(MANIFESTS, path), 'utf8'),
)
if (option === undefined) {
  writeFileSync(INSTALL, wanted)
} else if ((await readIfPresent(INSTALL, MAX_BYTES)) !== wanted) {
  console.error(
    'manifests/install.yaml is not in sync with manifests/base, authority and guard; run: npm run manifests',
  )
  process.exitCode = 1
}
