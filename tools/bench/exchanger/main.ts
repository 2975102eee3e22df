/**
 * The exchanger's figures: `node tools/bench/exchanger/main.ts [NAME...]`, see measure.ts; all of them take 50
 * minutes. Linux only.
 */
import { measureAll, type Measurements } from '../measure.ts'
import { measureFirstCredentials } from './first-credentials.ts'
import { measureIdle } from './idle.ts'
import { measureImages } from './image.ts'
import {
  measureBothMemory,
  measureCertificateMemory,
  measureEndpointMemory,
  measureProcessMemory,
  measureRolesMemory,
} from './memory.ts'
import { measurePeakMemory } from './peak.ts'

const MEASUREMENTS: Measurements = {
  'first-credentials': measureFirstCredentials,
  images: measureImages,
  'process-memory': measureProcessMemory,
  'endpoint-memory': measureEndpointMemory,
  'certificate-memory': measureCertificateMemory,
  'both-memory': measureBothMemory,
  'roles-memory': measureRolesMemory,
  'peak-memory': measurePeakMemory,
  idle: measureIdle,
}
/** Their details are a list. */
const listed: Measurements = Object.fromEntries(
  Object.entries(MEASUREMENTS).map(([name, measure]) => [
    name,
    async () => {
      const section = await measure()
      return { ...section, detail: section.detail.map((line) => `- ${line}`) }
    },
  ]),
)
process.exitCode = await measureAll(import.meta.dirname, listed, process.argv.slice(2))
