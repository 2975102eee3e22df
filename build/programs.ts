import { join } from 'node:path'
import { build, type BuildOptions, type Metafile } from 'esbuild'

/** esbuild's ESM output has no `require`, which some CommonJS packages call for Node's own modules. */
const REQUIRE_SHIM =
  "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);"

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'none',
  logLevel: 'warning',
}

/**
 * The programs of the images. The exchange stands apart from the exchanger, so that the process that
 * stays in every pod never loads the AWS SDK.
 */
const PROGRAMS = {
  'webhook.mjs': { entry: 'webhook/main.ts', banner: { js: REQUIRE_SHIM } },
  'exchanger.mjs': { entry: 'exchanger/main.ts' },
  'exchange.mjs': { entry: 'exchanger/exchange/main.ts', banner: { js: REQUIRE_SHIM } },
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
      const { entry, ...options } = PROGRAMS[program]
      const { metafile } = await build({
        ...COMMON,
        ...options,
        minify,
        absWorkingDir: join(import.meta.dirname, '..'),
        entryPoints: [entry],
        outfile: join(folder, program),
        metafile: true,
      })
      return { program, bytes: bytesOf(metafile), inputs: Object.keys(metafile.inputs) }
    }),
  )
}

function bytesOf(metafile: Metafile): number {
  return Object.values(metafile.outputs).reduce((sum, { bytes }) => sum + bytes, 0)
}
