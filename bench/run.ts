/** `make bench`: measures one thing after the other, prints each, and writes RESULTS.md. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measureAdmission } from './admission.ts'
import { measureDecision } from './decision.ts'
import { measureGrowth } from './growth.ts'
import { machine, results, summary } from './report.ts'
import { measureScale } from './scale.ts'
import type { Section } from './section.ts'
import { measureStart } from './start.ts'

/** Never two at a time: they share the cores. Whoever measures something else adds it here. */
const MEASUREMENTS: readonly (() => Promise<Section>)[] = [
  measureAdmission,
  measureDecision,
  measureScale,
  measureStart,
  measureGrowth,
]

const sections: Section[] = []
for (const measure of MEASUREMENTS) {
  const section = await measure()
  console.log(summary(section))
  sections.push(section)
}
await writeFile(join(import.meta.dirname, 'RESULTS.md'), results(await machine(), sections))
