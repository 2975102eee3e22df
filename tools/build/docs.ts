/** `npm run docs`: writes docs/reference; with --check, exits with 1 if a page is not up to date. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readIfPresent } from '../../shared/base/files.ts'
import { REFERENCE, referencePages } from './reference/pages.ts'

const MAX_BYTES = 1_048_576

const [option, ...others] = process.argv.slice(2)
if (others.length > 0 || (option !== undefined && option !== '--check')) {
  console.error(`unknown option ${others[0] ?? option ?? ''}; allowed: --check`)
  process.exit(2)
}

mkdirSync(REFERENCE, { recursive: true })
for (const [name, text] of Object.entries(referencePages())) {
  const file = join(REFERENCE, name)
  if (option === undefined) {
    writeFileSync(file, text)
  } else if ((await readIfPresent(file, MAX_BYTES)) !== text) {
    console.error(`docs/reference/${name} is not up to date; run: npm run docs`)
    process.exitCode = 1
  }
}
