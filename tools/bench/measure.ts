/** Measures one thing after the other, never two at a time: they share the cores. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machine, results, summary } from './report.ts'
import type { Section } from './section.ts'

/** By the names that a command line may ask for. */
export type Measurements = Readonly<Record<string, () => Promise<Section>>>

/**
 * Prints each section. All of them go into the folder's RESULTS.md; of those asked for by name the
 * details are printed instead.
 *
 * @returns the exit code: 2 for an unknown name
 */
export async function measureAll(
  folder: string,
  measurements: Measurements,
  asked: readonly string[],
): Promise<number> {
  const unknown = asked.find((name) => !Object.hasOwn(measurements, name))
  if (unknown !== undefined) {
    const allowed = Object.keys(measurements).join(', ')
    process.stderr.write(`unknown measurement ${JSON.stringify(unknown)}; allowed: ${allowed}\n`)
    return 2
  }
  const isWhole = asked.length === 0
  const sections: Section[] = []
  for (const [name, measure] of Object.entries(measurements)) {
    if (!isWhole && !asked.includes(name)) continue
    const section = await measure()
    console.log(summary(section))
    if (!isWhole) console.log(`${section.detail.join('\n')}\n`)
    sections.push(section)
  }
  if (isWhole) await writeFile(join(folder, 'RESULTS.md'), results(await machine(), sections))
  return 0
}
