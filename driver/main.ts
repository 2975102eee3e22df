import { randomBytes } from 'node:crypto'
import { isolateSdk, sendToSts } from '../exchanger/credentials/sts.ts'
import { realClock } from '../shared/base/clock.ts'
import { runProgram } from '../shared/server/program.ts'
import { parseFlags, usage } from './config.ts'
import { isTmpfsMount } from './files/volume.ts'
import { startDriver } from './run.ts'

// Modes are given to each file and folder, as this process has no capability to change them afterwards.
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
      version: '0.1.0',
      ownerId: 0,
      uniqueName: () => randomBytes(6).toString('hex'),
      isMemoryMount: isTmpfsMount,
      sendToSts,
    }),
})
