/** The kubelet's part: runs the containers of an admitted pod as processes, volumes as folders. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { realClock } from '../../shared/base/clock.ts'
import { startContainer, type RunningContainer } from '../../test/fakes/kubelet-containers.ts'
import { preparePod, type PreparedPod } from '../../test/fakes/kubelet-volumes.ts'
import type { Environment } from './environment.ts'
import type { Pod } from './pod.ts'
import { endsWithDemo } from './program.ts'
import { say } from './show.ts'

/** Where the image of the exchanger is here; many of them run at once, so it is that of the tests. */
export function exchangerImage(folder: string): string {
  return join(folder, 'exchanger-image')
}

/** Where the folders of the other images are here. */
export const IMAGE_ROOT = {
  '/app/': join(import.meta.dirname, 'app'),
  '/examples/': join(import.meta.dirname, '../../examples/mutual-tls/node'),
}

export interface PodRun {
  readonly prepared: PreparedPod
  /** Undefined with web-identity and with the driver, which need none. */
  readonly sidecar: RunningContainer | undefined
  start(container: string): Promise<RunningContainer>
  close(): Promise<void>
}

/** Prepares the volumes and starts the sidecar, with exactly what the patch wrote into the pod. */
export async function runPod(pod: Pod, environment: Environment, folder: string): Promise<PodRun> {
  const own = join(folder, pod.metadata.name ?? 'pod')
  await mkdir(own)
  const { issuer, authority } = environment
  authority.addPod(pod)
  const prepared = await preparePod(pod, {
    folder: own,
    issuer,
    clock: realClock,
    configMap: authority.configMap,
  })
  const imageRoot = { ...IMAGE_ROOT, '/nocreds/': exchangerImage(folder) }
  const running: RunningContainer[] = []
  const start = async (container: string): Promise<RunningContainer> => {
    const path = process.env['PATH'] ?? ''
    const started = await startContainer({ prepared, container, imageRoot, path })
    endsWithDemo(started.process)
    running.push(started)
    return started
  }
  const [first] = pod.spec.initContainers ?? []
  const sidecar = first === undefined ? undefined : await start(first.name)
  return {
    prepared,
    sidecar,
    start,
    async close() {
      await prepared.close()
      await Promise.all(running.map((container) => container.stop()))
    },
  }
}

/** Shows what a container says as it says it. */
export function follow(container: RunningContainer, who: string): void {
  for (const stream of [container.process.stdout, container.process.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      say(readable(line), who)
    })
  }
}

/** The exchanger's log lines, shortened for the eye. */
function readable(line: string): string {
  if (!line.startsWith('{')) return line
  const { msg, code, hint, expiration, refreshInSeconds } = JSON.parse(line) as Record<
    string,
    unknown
  >
  const rest = Object.entries({ code, expiration, refreshInSeconds, hint })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${String(value)}`)
  return [String(msg), ...rest].join('  ')
}
