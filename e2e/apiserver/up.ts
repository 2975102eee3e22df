/**
 * `npm run e2e-apiserver-up [-- 1.30]`: an apiserver with nocreds to try things on, until it is interrupted.
 * Prints what to export.
 */
import { once } from 'node:events'
import { messageOf } from '../../shared/base/errors.ts'
import { hostOf } from '../support/host.ts'
import { interruption } from '../support/interrupt.ts'
import { openHarness, VERSION_VARIABLE } from './harness.ts'

const write = (line: string): void => {
  process.stdout.write(line)
}

try {
  const [version = process.env[VERSION_VARIABLE]] = process.argv.slice(2)
  const signal = interruption()
  const host = hostOf({ ...process.env, [VERSION_VARIABLE]: version }, write)
  const harness = await openHarness(host)
  try {
    const { env } = harness.host
    host.progress.say(`logs are in ${harness.folder}; to look into it:`)
    for (const name of ['KUBECONFIG', 'PATH']) console.log(`export ${name}=${env[name] ?? ''}`)
    host.progress.say('it runs until it is interrupted')
    if (!signal.aborted) {
      const forever = setInterval(() => undefined, 60_000)
      await once(signal, 'abort')
      clearInterval(forever)
    }
  } finally {
    await harness.stop()
  }
} catch (error) {
  console.error(`e2e: ${messageOf(error)}`)
  process.exitCode = 1
}
