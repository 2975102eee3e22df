/** Before the first test of a run: opens the ledger. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LEDGER_ENV } from './leak-check.ts'

export default function openLedger(): void {
  process.env[LEDGER_ENV] = mkdtempSync(join(tmpdir(), 'nocreds-ledger-'))
}
