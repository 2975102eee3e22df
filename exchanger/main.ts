import { EXCHANGER } from '../contract/names.ts'
import { realClock } from '../shared/base/clock.ts'
import { runExchanger } from './program.ts'

process.exit(
  await runExchanger({
    system: process,
    clock: realClock,
    random: () => Math.random(),
    exchange: new URL('exchange.mjs', import.meta.url),
    certificate: new URL('certificate.mjs', import.meta.url),
    terminationMessageFile: EXCHANGER.terminationMessagePath,
  }),
)
