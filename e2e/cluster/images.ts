import { cp, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Host } from '../support/host.ts'
import { IMAGES, REPOSITORY } from '../versions.ts'
import { CLUSTER } from './names.ts'

const JAVASCRIPT_APP = join(REPOSITORY, 'e2e', 'apps', 'javascript')

/** Targets of the Dockerfile. */
const TARGETS = ['webhook', 'authority', 'exchanger', 'driver'] as const

/** The Dockerfile's own base is the published one, by its digest; here it may be one that was made. */
export const BUILD_FLAGS = ['--build-arg', `NODE_IMAGE=${IMAGES.node}`]

/** Builds our images from the Dockerfile and the app of the suite, and brings them to the node. */
export async function buildAndLoadImages(host: Host): Promise<void> {
  const { progress } = host
  const docker = await withBuilder(host)
  for (const target of TARGETS)
    await progress.step(`docker build of ${IMAGES[target]}`, () => {
      const what = ['--target', target, '--tag', IMAGES[target]]
      return dockerBuild(docker, REPOSITORY, [...BUILD_FLAGS, ...what])
    })
  await progress.step(`docker build of ${IMAGES.appJavascript}`, () => buildJavascriptApp(docker))
  const { appJavascript, node, versitygw } = IMAGES
  const images = [...TARGETS.map((target) => IMAGES[target]), appJavascript, node, versitygw]
  await progress.step('images to the node', () =>
    host.run('kind', ['load', 'docker-image', '--name', CLUSTER, ...images]),
  )
}

/** Debian's docker has no buildx; its own builder does what our Dockerfile needs. */
export async function withBuilder(host: Host): Promise<Host> {
  const buildx = await host.tryRun('docker', ['buildx', 'version'])
  return buildx === undefined ? host.with({ DOCKER_BUILDKIT: '0' }) : host
}

/** Builds use the host's network, which `npm ci` needs; a proxy is passed on if there is one. */
export async function dockerBuild(
  host: Host,
  context: string,
  args: readonly string[],
): Promise<void> {
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].filter((name) => host.env[name])
  const buildArgs = proxies.flatMap((name) => ['--build-arg', name])
  const flags = ['--quiet', '--network', 'host', ...buildArgs, ...args]
  await host.run('docker', ['build', ...flags, context], { timeoutMs: 900_000 })
}

/** An app with all its packages in one file. */
export async function bundleApp(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'warning',
    // Some CommonJS packages call require for Node's own modules.
    banner: {
      js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
    },
  })
}

async function buildJavascriptApp(host: Host): Promise<void> {
  const context = await mkdtemp(join(host.cache, 'app.unfinished.'))
  try {
    for (const app of ['main', 'forever', 'flood', 'tls-server', 'tls-client'])
      await bundleApp(join(JAVASCRIPT_APP, `${app}.ts`), join(context, `${app}.mjs`))
    await cp(join(JAVASCRIPT_APP, 'Dockerfile'), join(context, 'Dockerfile'))
    await dockerBuild(host, context, ['--tag', IMAGES.appJavascript])
  } finally {
    await rm(context, { recursive: true, force: true })
  }
}
