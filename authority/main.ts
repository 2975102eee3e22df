import { realClock } from '../shared/base/clock.ts'
import { createKubeClient, loadKubeConfig } from '../shared/server/kube/kube.ts'
import { runProgram } from '../shared/server/program.ts'
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
