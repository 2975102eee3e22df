/** Before the first test of a run: opens the ledger. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LEAK_CHECK_ENV } from './leak-check.ts'

export default function openLedger(): void {
  process.env[LEAK_CHECK_ENV] = mkdtempSync(join(tmpdir(), 'nocreds-ledger-'))
}
