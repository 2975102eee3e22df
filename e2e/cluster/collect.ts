import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { ARTIFACTS } from './names.ts'

/** What to read after a failure: name of the file, and what kubectl is asked for it. */
const LOOKS: Readonly<Record<string, readonly string[]>> = {
  'events.txt': ['get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp'],
  'pods.txt': ['get', 'pods', '--all-namespaces', '--output=wide'],
  'describe.txt': ['describe', 'pods', '--all-namespaces'],
  'dump.txt': [
    ...['cluster-info', 'dump', '--all-namespaces', '--output=yaml'],
    `--output-directory=${join(ARTIFACTS, 'dump')}`,
  ],
}

/** Writes events, descriptions and the logs of every pod to e2e/.artifacts; what fails is left out. */
export async function collect(host: Host): Promise<void> {
  await mkdir(ARTIFACTS, { recursive: true })
  for (const [file, args] of Object.entries(LOOKS)) {
    const text = await host.tryRun('kubectl', args, { timeoutMs: 60_000 })
    if (text !== undefined) await writeFile(join(ARTIFACTS, file), `${text}\n`)
  }
  host.progress.say(`pod logs, events and descriptions are in ${ARTIFACTS}`)
}
