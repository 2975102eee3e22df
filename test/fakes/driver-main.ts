/**
 * Test double: the driver as a program, but for tests that may not mount a tmpfs for each volume, or are not root.
 * Never shipped.
 */
import { randomBytes } from 'node:crypto'
import { parseFlags, usage } from '../../driver/config.ts'
import { startDriver } from '../../driver/run.ts'
import { isolateSdk, sendToSts } from '../../exchanger/credentials/sts.ts'
import { realClock } from '../../shared/base/clock.ts'
import { runProgram } from '../../shared/server/program.ts'

process.umask(0)
isolateSdk(process.env)

await runProgram({
  usage,
  parseFlags,
  start: (config, log) =>
    startDriver(config, {
      clock: realClock,
      random: Math.random,
      log,
      version: 'test',
      ownerId: process.getuid?.() ?? 0,
      uniqueName: () => randomBytes(6).toString('hex'),
      isMemoryMount: () => Promise.resolve(true),
      sendToSts,
    }),
})
