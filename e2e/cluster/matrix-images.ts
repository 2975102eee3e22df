import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, recipeOf, recipeOfFiles } from '../airgap/cache.ts'
import { findEngine } from '../airgap/engine.ts'
import { withTool } from '../airgap/host-tools.ts'
import { provideMatrixBases } from '../airgap/provide.ts'
import { MachineError, type Host } from '../support/host.ts'
import { REPOSITORY } from '../versions.ts'
import { bundleApp, dockerBuild, withBuilder } from './images.ts'
import { CLUSTER } from './names.ts'
import { withKind } from './programs.ts'

const APPS = join(REPOSITORY, 'e2e', 'apps', 'matrix')

interface Recipe {
  /** The program of this machine that builds the app. */
  readonly tool: string
  /** Builds the app in a copy of its folder; its Dockerfile copies what comes of it. */
  readonly build: (host: Host, folder: string) => Promise<void>
}

const RECIPES = {
  javascript: { tool: 'npm', build: bundle },
  python: { tool: 'pip', build: installWheels },
  cli: { tool: 'pip', build: installWheels },
  go: {
    tool: 'go',
    build: async (host, cwd) => {
      const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-ldflags', '-s -w']
      await host
        .with({ CGO_ENABLED: '0' })
        .run('go', ['build', ...flags, '-o', 'app', '.'], { cwd })
    },
  },
  java: {
    tool: 'mvn',
    build: async (host, cwd) => {
      await host.run('mvn', ['--quiet', '--batch-mode', 'package'], { cwd })
    },
  },
} satisfies Readonly<Record<string, Recipe>>

export type MatrixApp = keyof typeof RECIPES
export const MATRIX_APPS = Object.keys(RECIPES) as readonly MatrixApp[]

export function matrixImage(app: MatrixApp): string {
  return `nocreds-e2e/matrix-${app}:1`
}

/**
 * Builds the image of each app and brings it to the node.
 *
 * @throws MachineError if the machine has no program to build one with, and can get none
 */
export async function loadMatrixImages(
  host: Host,
  apps: readonly MatrixApp[] = MATRIX_APPS,
): Promise<void> {
  const engine = await findEngine(host)
  if (engine === undefined) throw new MachineError('no Docker engine answers')
  await provideMatrixBases(engine)
  const docker = await withBuilder(engine)
  for (const app of apps) {
    const image = matrixImage(app)
    await docker.progress.step(`docker build of ${image}`, async () => {
      await dockerBuild(docker, await contextOf(docker, app), ['--tag', image])
    })
  }
  const kind = await withKind(engine)
  await kind.progress.step('images of the SDK matrix to the node', () =>
    kind.run('kind', ['load', 'docker-image', '--name', CLUSTER, ...apps.map(matrixImage)]),
  )
}

/** The folder of an app, built. */
async function contextOf(host: Host, app: MatrixApp): Promise<string> {
  const recipe: Recipe = RECIPES[app]
  const hash = recipeOf(await recipeOfFiles(join(APPS, app)), process.arch)
  const { path } = await cached(host, `matrix-${app}`, hash, async (folder) => {
    const builder = await withTool(host, recipe.tool, `the app of the SDK matrix for ${app}`)
    await cp(join(APPS, app), folder, { recursive: true })
    await recipe.build(builder, folder)
  })
  return path
}

async function bundle(host: Host, folder: string): Promise<void> {
  await host.run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder })
  await bundleApp(join(folder, 'main.js'), join(folder, 'main.mjs'))
  await rm(join(folder, 'node_modules'), { recursive: true })
}

/** Wheels for the Python of the image, whatever Python this machine has. */
async function installWheels(host: Host, folder: string): Promise<void> {
  const packages = join(folder, 'packages')
  await mkdir(packages)
  const platform = `manylinux2014_${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`
  const forImage = ['--platform', platform, '--python-version', '3.11', '--only-binary=:all:']
  const flags = ['--quiet', '--no-compile', '--disable-pip-version-check', ...forImage]
  await host.run('pip', ['install', ...flags, '--target', packages, '-r', 'requirements.txt'], {
    cwd: folder,
  })
}
