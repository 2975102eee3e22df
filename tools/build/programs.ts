import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'

/**
 * Takes Node's own modules from `process.getBuiltinModule`. An import statement reads every export of
 * such a module, and some of them load half of Node when they are read: `node:http` brings undici,
 * HTTP/2, TLS and worker threads, about 3 MiB and 15 ms. It also gives CommonJS packages the
 * `require` that ES modules do not have.
 */
const LAZY_BUILTINS: Plugin = {
  name: 'lazy-builtins',
  setup(context) {
    context.onResolve({ filter: /^[a-z0-9_:/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    )
    context.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'none',
  mainFields: ['module', 'main'], // ES modules, of which esbuild leaves out what is not used
  logLevel: 'warning',
  plugins: [LAZY_BUILTINS],
  alias: {
    '@aws-sdk/credential-provider-node': './exchanger/credentials/no-credentials.ts',
    '@grpc/proto-loader': './driver/csi/no-proto-loader.ts',
  },
}

/**
 * The programs of the images. Exchange and certificate stand apart from the exchanger, so that the process
 * that stays in every pod never loads the AWS SDK, TLS or cryptography.
 */
const PROGRAMS = {
  'webhook.mjs': 'webhook/main.ts',
  'authority.mjs': 'authority/main.ts',
  'driver.mjs': 'driver/main.ts',
  'exchanger.mjs': 'exchanger/main.ts',
  'exchange.mjs': 'exchanger/credentials/main.ts',
  'certificate.mjs': 'exchanger/certificate/main.ts',
} as const

export type Program = keyof typeof PROGRAMS
export const ALL_PROGRAMS = Object.keys(PROGRAMS) as Program[]

/** What went into a bundle, and how large it is. */
export interface Bundle {
  readonly program: Program
  readonly bytes: number
  /** Source files, relative to the repository. */
  readonly inputs: readonly string[]
}

/** Bundles the programs into the folder, each as one file without dependencies. */
export function bundlePrograms(
  folder: string,
  programs = ALL_PROGRAMS,
  { minify = true } = {},
): Promise<Bundle[]> {
  return Promise.all(
    programs.map(async (program) => {
      const metafile = await bundle(PROGRAMS[program], join(folder, program), { minify })
      return { program, bytes: bytesOf(metafile), inputs: inputsOf(metafile) }
    }),
  )
}

/**
 * Bundles one program as all of them are.
 *
 * @param entry its main file, relative to the repository
 */
export async function bundle(
  entry: string,
  outfile: string,
  { minify = true } = {},
): Promise<Metafile> {
  const absWorkingDir = join(import.meta.dirname, '../..')
  const options = { ...COMMON, minify, absWorkingDir, entryPoints: [entry], outfile }
  return (await build({ ...options, metafile: true })).metafile
}

function inputsOf(metafile: Metafile): string[] {
  return Object.keys(metafile.inputs).filter((path) => !path.startsWith('builtin:'))
}

function bytesOf(metafile: Metafile): number {
  return Object.values(metafile.outputs).reduce((sum, { bytes }) => sum + bytes, 0)
}
