/** The authority's figures: `node tools/bench/authority/main.ts [NAME...]`, see measure.ts; two minutes. Needs openssl. */
import { measureAll } from '../measure.ts'
import { measureHttps } from './https.ts'
import { measureIssuance } from './issuance.ts'

const MEASUREMENTS = { issuance: measureIssuance, https: measureHttps }
process.exitCode = await measureAll(import.meta.dirname, MEASUREMENTS, process.argv.slice(2))
