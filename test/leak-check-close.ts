/** After the last test of a run: fails it if any log showed a secret. */
import { rmSync } from 'node:fs'
import { LEAK_CHECK_ENV, findLeaks } from './leak-check.ts'

export default function closeLeakCheck(): void {
  const folder = process.env[LEAK_CHECK_ENV]
  if (folder === undefined) throw new Error('the leak check was not opened')
  const { secrets, lines, leaks } = findLeaks(folder)
  rmSync(folder, { recursive: true })
  if (leaks.length > 0) {
    throw new Error(`${leaks.length} lines show a secret, such as: ${String(leaks[0])}`)
  }
  console.log(`leak check: ${secrets} secrets, none of them in ${lines} lines of logs`)
}
