/** How each program of examples/mutual-tls is started, unchanged, on loopback. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withEnvoy, withTool } from '../airgap/host-tools.ts'
import type { Host } from '../support/host.ts'
import { startProgram, type Program } from '../support/program.ts'
import { REPOSITORY } from '../versions.ts'

const EXAMPLES = join(REPOSITORY, 'examples', 'mutual-tls')

interface ServerSetting {
  /** $NOCREDS_TLS_DIR. */
  readonly tlsFolder: string
  readonly port: number
  /** SPIFFE id of the only workload that is let in; Envoy's file names it. */
  readonly allowed: string
  /** Loopback port of the app behind nginx and Envoy. */
  readonly appPort: number
  /** For files; made here. */
  readonly workFolder: string
}

interface ClientSetting {
  readonly tlsFolder: string
  readonly url: string
  /** SPIFFE id of the only workload that it may call. */
  readonly serverId: string
}

export interface Examples {
  startServer(name: ServerName, setting: ServerSetting): Promise<readonly Program[]>
  startClient(name: ClientName, setting: ClientSetting): Program
}

export type ServerName = 'node' | 'go' | 'python' | 'nginx' | 'envoy'
export type ClientName = 'node' | 'go' | 'python'

const BETWEEN_CALLS_MS = 100
const CONFIGS = { nginx: ['nginx.conf'], envoy: ['envoy.yaml', 'own.yaml', 'peers.yaml'] } as const

/**
 * Finds or installs what the examples run on, and builds what must be built.
 *
 * @param buildFolder for programs; made here
 * @throws MachineError if the machine lacks a program and can get none
 */
export async function prepareExamples(machine: Host, buildFolder: string): Promise<Examples> {
  const wanted = 'an example of mutual TLS'
  let host = await withTool(machine, 'go', wanted)
  for (const tool of ['python3', 'nginx', 'openssl']) host = await withTool(host, tool, wanted)
  const envoy = await withEnvoy(host, wanted)
  await host.run('go', ['build', '-o', `${buildFolder}/`, './server', './client'], {
    cwd: join(EXAMPLES, 'go'),
  })

  const commandOf = (name: ServerName | ClientName, what: 'server' | 'client'): string[] => {
    if (name === 'node') return [process.execPath, `node/${what}.mjs`]
    if (name === 'python') return ['python3', '-B', '-u', `python/${what}.py`]
    return [join(buildFolder, what)]
  }
  const begin = (command: readonly string[], env: Record<string, string>): Program =>
    startProgram(command, { ...host.env, ...env }, EXAMPLES)

  return {
    startServer: async (name, setting) => {
      const { tlsFolder, port, allowed, workFolder } = setting
      const env = { NOCREDS_TLS_DIR: tlsFolder, PORT: `${port}`, ALLOWED: allowed }
      if (name === 'envoy') {
        await adaptConfigs(name, setting)
        const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning']
        return [begin([envoy, '-c', join(workFolder, 'envoy.yaml'), ...flags], env)]
      }
      if (name === 'nginx') {
        await adaptConfigs(name, setting)
        const flags = ['-e', 'stderr', '-p', workFolder, '-c', join(workFolder, 'nginx.conf')]
        const reload = ['sh', 'nginx/reload.sh', ...flags]
        return [
          begin(['nginx', ...flags, '-g', 'daemon off;'], env),
          begin(reload, { ...env, EVERY_SECONDS: '1' }),
        ]
      }
      return [begin(commandOf(name, 'server'), env)]
    },
    startClient: (name, { tlsFolder, url, serverId }) =>
      begin(commandOf(name, 'client'), {
        NOCREDS_TLS_DIR: tlsFolder,
        SERVER: url,
        SERVER_ID: serverId,
        EVERY_MS: `${BETWEEN_CALLS_MS}`,
      }),
  }
}

/** The files of an example with the test's folders and ports in place of the pod's. */
async function adaptConfigs(name: keyof typeof CONFIGS, setting: ServerSetting): Promise<void> {
  await mkdir(setting.workFolder)
  for (const file of CONFIGS[name]) {
    const text = await readFile(join(EXAMPLES, name, file), 'utf8')
    const adapted = text
      .replaceAll('/var/run/secrets/nocreds.dev/tls', setting.tlsFolder)
      .replaceAll('/etc/envoy', setting.workFolder)
      .replaceAll('8443', `${setting.port}`)
      .replaceAll('8080', `${setting.appPort}`)
    await writeFile(join(setting.workFolder, file), adapted)
  }
}
