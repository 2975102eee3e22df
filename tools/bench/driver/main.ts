/**
 * The driver's figures: `node tools/bench/driver/main.ts [NAME...]`, see measure.ts; all of them take 20 minutes.
 * Linux only.
 */
import { measureAll } from '../measure.ts'
import { measureMemory, measureRest } from './memory.ts'
import { measureStart } from './start.ts'

process.exitCode = await measureAll(
  import.meta.dirname,
  {
    start: async () => listed(await measureStart()),
    memory: async () => listed(await measureMemory()),
    rest: async () => listed(await measureRest()),
  },
  process.argv.slice(2),
)

/** Details as a list. */
function listed<S extends { readonly detail: readonly string[] }>(section: S): S {
  return { ...section, detail: section.detail.map((line) => `- ${line}`) }
}
