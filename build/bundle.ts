import { build } from 'esbuild'

/** esbuild's ESM output has no `require`, which some CommonJS dependencies call for Node's own modules. */
const REQUIRE_SHIM = [
  "import { createRequire as __createRequire } from 'node:module'",
  'const require = __createRequire(import.meta.url)',
].join(';')

const common = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minify: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} as const

/** The three programs of the images. The exchange stands apart so that the resident never loads the SDK. */
const PROGRAMS = [
  { entry: 'webhook/main.ts', outfile: 'dist/webhook.mjs', banner: { js: REQUIRE_SHIM } },
  { entry: 'exchanger/main.ts', outfile: 'dist/exchanger.mjs', external: ['./exchange.mjs'] },
  { entry: 'exchanger/exchange/main.ts', outfile: 'dist/exchange.mjs', banner: { js: REQUIRE_SHIM } },
]

for (const { entry, ...options } of PROGRAMS) {
  const result = await build({ ...common, ...options, entryPoints: [entry] })
  for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
    console.log(`${file}  ${(bytes / 1024).toFixed(0)} KiB`)
  }
}
