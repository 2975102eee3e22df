/** `make e2e-matrix-report`: writes e2e/REPORT.md from the last run of matrix.test.ts. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../shared/base/errors.ts'
import { reportOf, VERDICTS } from './matrix-verdicts.ts'

try {
  const report = join(import.meta.dirname, 'REPORT.md')
  await writeFile(report, reportOf(await readFile(VERDICTS, 'utf8')))
  console.log(`written: ${report}`)
} catch (error) {
  console.error(`e2e-matrix-report: ${messageOf(error)}; run npm run e2e -- matrix first`)
  process.exitCode = 1
}
