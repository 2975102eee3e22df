import { realClock } from '../platform/clock.ts'
import { createKubeClient, loadKubeConfig } from '../service/kube/kube.ts'
import { runProgram } from '../service/program.ts'
import { parseFlags, usage } from './config.ts'
import { startAuthority } from './run.ts'

await runProgram({
  usage,
  parseFlags,
  start(config, log) {
    const kube = createKubeClient(loadKubeConfig())
    return startAuthority(config, { clock: realClock, random: Math.random, log, kube })
  },
})
