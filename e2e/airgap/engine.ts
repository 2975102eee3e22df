import { spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { realClock, sleep } from '../../shared/base/clock.ts'
import { readIfPresent, removeIfPresent } from '../../shared/base/files.ts'
import { MachineError, type Host } from '../support/host.ts'
import { installPackages, needDebian } from './debian.ts'
import { goPrograms } from './go-programs.ts'

/** Linux allows no longer path for a socket. */
const MAX_SOCKET_PATH = 107

/** The engine that we start ourselves keeps everything in one folder of the cache. */
function ownEngine({ cache }: Host) {
  const folder = join(cache, 'docker')
  const socket = join(folder, 'docker.sock')
  return { folder, socket, url: `unix://${socket}`, pidFile: join(folder, 'dockerd.pid') }
}

/** False in sandboxes that cannot pass on every capability, so that runc refuses --privileged. */
async function hasEveryCapability(): Promise<boolean> {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1]
  const last = BigInt((await readFile('/proc/sys/kernel/cap_last_cap', 'utf8')).trim())
  return BigInt(`0x${bounding ?? '0'}`) === (1n << (last + 1n)) - 1n
}

/**
 * The host with the Docker engine that the environment names, else with our own; undefined if neither
 * answers.
 */
export async function findEngine(host: Host): Promise<Host | undefined> {
  if (await answers(host)) return host
  const withOwn = host.with({ DOCKER_HOST: ownEngine(host).url })
  return (await answers(withOwn)) ? withOwn : undefined
}

/**
 * The host with a Docker engine: one that answers, else our own, which is installed
 * from Debian if it is missing, and started.
 *
 * @param onStart what to do with our own engine once it is started, before it is used
 * @throws MachineError if there is none and none can be installed
 */
export async function withEngine(
  host: Host,
  onStart: (host: Host) => Promise<void>,
): Promise<Host> {
  const found = await findEngine(host)
  if (found !== undefined) return found
  const { url, socket } = ownEngine(host)
  await needDebian(host, 'no Docker engine answers')
  if (socket.length > MAX_SOCKET_PATH)
    throw new MachineError(
      `${socket} is too long for a socket; name a shorter folder with NOCREDS_E2E_CACHE`,
    )
  await installPackages(host, ['docker.io', 'iptables'])
  const withOwn = host.with({ DOCKER_HOST: url })
  await host.progress.step('Docker engine', () => start(withOwn))
  await onStart(withOwn)
  return withOwn
}

async function answers(host: Host): Promise<boolean> {
  const version = await host.tryRun('docker', ['version', '--format', '{{.Server.Version}}'])
  return version !== undefined && version !== ''
}

async function runtimeFlags(host: Host): Promise<string[]> {
  if (await hasEveryCapability()) return []
  const { path } = await goPrograms(host, 'local')
  return ['--add-runtime', `caps=${join(path, 'runc-caps')}`, '--default-runtime', 'caps']
}

/** No default bridge: kind makes a network of its own, and builds use the host's. */
async function start(host: Host): Promise<void> {
  const { folder, url, pidFile } = ownEngine(host)
  await mkdir(folder, { recursive: true })
  await removeStalePid(pidFile, 'dockerd')
  await removeStalePid(join(folder, 'exec', 'containerd', 'containerd.pid'), 'containerd')
  const folders = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')]
  const flags = ['--host', url, '--pidfile', pidFile, '--bridge', 'none']
  const log = await open(join(folder, 'dockerd.log'), 'w')
  const args = [...folders, ...flags, ...(await runtimeFlags(host))]
  const child = spawn('dockerd', args, {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: { ...host.env },
  })
  const ended = new Promise<boolean>((resolve) => {
    for (const event of ['error', 'exit'])
      child.once(event, () => {
        resolve(true)
      })
  })
  child.unref()
  await log.close()
  for (let tries = 0; tries < 120; tries += 1) {
    if (await answers(host)) return
    if (await Promise.race([ended, sleep(realClock, 500).then(() => false)])) break
  }
  throw new MachineError(`the Docker engine did not start; see ${join(folder, 'dockerd.log')}`)
}

/** An engine that was killed leaves its pid, which may be another program's by now; then none starts. */
async function removeStalePid(file: string, program: string): Promise<void> {
  const pid = (await readIfPresent(file, 64))?.trim()
  if (pid === undefined) return
  // Empty for one that has ended and was not waited for.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (!commandLine.includes(program)) await removeIfPresent(file)
}

/** Ends our own engine, if it runs, and waits for its end; others are left alone. */
export async function stopOwnEngine(host: Host): Promise<void> {
  const text = await readIfPresent(ownEngine(host).pidFile, 64)
  const pid = Number(text)
  if (!Number.isInteger(pid) || pid <= 1) return
  for (let tries = 0; tries < 120; tries += 1) {
    try {
      process.kill(pid, tries === 0 ? 'SIGTERM' : 0)
    } catch {
      return // ESRCH: it has ended
    }
    await sleep(realClock, 500)
  }
  throw new MachineError(`the Docker engine with pid ${pid} does not end`)
}
