/** After the last test of a run: fails it where any log showed a secret. */
import { rmSync } from 'node:fs'
import { LEDGER_ENV, reckon } from './leak-check.ts'

export default function closeLedger(): void {
  const folder = process.env[LEDGER_ENV]
  if (folder === undefined) throw new Error('the ledger was not opened')
  const { secrets, said, leaks } = reckon(folder)
  rmSync(folder, { recursive: true })
  if (leaks.length > 0) {
    throw new Error(`${leaks.length} lines show a secret, such as: ${String(leaks[0])}`)
  }
  console.log(`ledger: ${secrets} secrets, none of them in ${said} lines of logs`)
}
