/** Test double: a flood as a process of its own, `node test/fakes/flood-main.ts OPTIONS`. Never shipped. */
import { flood, type FloodOptions } from './flood.ts'

const REPORT_MS = 100

const running = flood(JSON.parse(process.argv[2] ?? '') as FloodOptions)
setInterval(() => process.send?.(running.report()), REPORT_MS)
process.on('disconnect', () => process.exit())
