/**
 * The exchanger's figures as markdown: `node bench/exchanger/main.ts`, or some of them by name, such as
 * `node bench/exchanger/main.ts first-credentials images`. Linux only; all of them take 20 minutes.
 */
import type { Section } from '../section.ts'
import { measureFirstCredentials } from './first-credentials.ts'
import { measureIdle } from './idle.ts'
import { measureImages } from './image.ts'
import { measureEndpointMemory, measurePeakMemory, measureProcessMemory } from './memory.ts'

const MEASUREMENTS: Readonly<Record<string, () => Promise<Section>>> = {
  'first-credentials': measureFirstCredentials,
  images: measureImages,
  'process-memory': measureProcessMemory,
  'endpoint-memory': measureEndpointMemory,
  'peak-memory': measurePeakMemory,
  idle: measureIdle,
}

const asked = process.argv.slice(2)
const unknown = asked.find((name) => !Object.hasOwn(MEASUREMENTS, name))
if (unknown !== undefined) {
  const allowed = Object.keys(MEASUREMENTS).join(', ')
  process.stderr.write(`unknown measurement ${JSON.stringify(unknown)}; allowed: ${allowed}\n`)
  process.exit(2)
}
for (const [name, measure] of Object.entries(MEASUREMENTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  const { title, goal, measured, verdict, detail } = await measure()
  console.log(`## ${title}: ${verdict}\n\n- goal: ${goal}\n- measured: ${measured}`)
  console.log(`${detail.map((line) => `- ${line}`).join('\n')}\n`)
}
