/** The webhook's figures: `node tools/bench/run.ts [NAME...]`, see measure.ts. */
import { measureAdmission } from './admission.ts'
import { measureDecision } from './decision.ts'
import { measureGrowth } from './growth.ts'
import { measureAll } from './measure.ts'
import { measureScale } from './scale.ts'
import { measureStart } from './start.ts'

const MEASUREMENTS = {
  admission: measureAdmission,
  decision: measureDecision,
  scale: measureScale,
  start: measureStart,
  growth: measureGrowth,
}
process.exitCode = await measureAll(import.meta.dirname, MEASUREMENTS, process.argv.slice(2))
