/** The authority's figures: measures, prints, and writes RESULTS.md; two minutes. Needs openssl. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machine, results, summary } from '../report.ts'
import type { Section } from '../section.ts'
import { measureDoor } from './door.ts'
import { measureIssuance } from './issuance.ts'

const sections: Section[] = []
for (const measure of [measureIssuance, measureDoor]) {
  const section = await measure()
  console.log(summary(section))
  sections.push(section)
}
await writeFile(join(import.meta.dirname, 'RESULTS.md'), results(await machine(), sections))
