/** `make bench`: measures one thing after the other, prints each, and writes RESULTS.md. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { measureAdmission } from './admission.ts'
import { measureDecision } from './decision.ts'
import { measureGrowth } from './growth.ts'
import { results, summary, type Machine } from './report.ts'
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

async function machine(): Promise<Machine> {
  const package_ = await readFile(join(import.meta.dirname, '../package.json'), 'utf8')
  const { version } = JSON.parse(package_) as { version: string }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: totalmem() / 1e9,
    system: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    openssl: process.versions.openssl,
    nocreds: version,
  }
}

const sections: Section[] = []
for (const measure of MEASUREMENTS) {
  const section = await measure()
  console.log(summary(section))
  sections.push(section)
}
await writeFile(join(import.meta.dirname, 'RESULTS.md'), results(await machine(), sections))
