/** Before the first test of a run: opens the leak check. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LEAK_CHECK_ENV } from './leak-check.ts'

export default function openLeakCheck(): void {
  process.env[LEAK_CHECK_ENV] = mkdtempSync(join(tmpdir(), 'nocreds-leak-check-'))
}
