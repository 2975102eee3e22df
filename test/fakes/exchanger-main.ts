/**
 * Test double: the exchanger, but for its termination message, which is where the environment says. On one
 * machine many run at once, and the path of the image is one. Never shipped.
 */
import { runExchanger } from '../../exchanger/program.ts'
import { realClock } from '../../shared/base/clock.ts'

process.exit(
  await runExchanger({
    system: process,
    clock: realClock,
    random: () => Math.random(),
    exchange: new URL('exchange.mjs', import.meta.url),
    certificate: new URL('certificate.mjs', import.meta.url),
    terminationMessageFile: process.env['NOCREDS_TERMINATION_MESSAGE_FILE'] ?? '/nowhere',
  }),
)
