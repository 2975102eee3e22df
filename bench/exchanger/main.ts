/**
 * The exchanger's figures as markdown: `node bench/exchanger/main.ts` measures all of them, which takes 20
 * minutes, and writes RESULTS.md; with names, such as `first-credentials images`, it only prints those.
 * Linux only.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machine, results } from '../report.ts'
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
const sections: Section[] = []
for (const [name, measure] of Object.entries(MEASUREMENTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  const section = await measure()
  const detail = section.detail.map((line) => `- ${line}`)
  sections.push({ ...section, detail })
  console.log(
    `## ${section.title}: ${section.verdict}\n\n- goal: ${section.goal}\n- measured: ${section.measured}`,
  )
  console.log(`${detail.join('\n')}\n`)
}
if (asked.length === 0)
  await writeFile(join(import.meta.dirname, 'RESULTS.md'), results(await machine(), sections))
