import tseslint from 'typescript-eslint'
import importOrder from './tools/lint/import-order.js'

/** Folders of the product, each with the folders it may import from (besides itself). */
const MAY_IMPORT = {
  'shared/base': [],
  'shared/x509': ['shared/base'],
  contract: ['shared/base', 'shared/x509'],
  'shared/server': ['contract', 'shared/base', 'shared/x509'],
  webhook: ['contract', 'shared/base', 'shared/x509', 'shared/server'],
  authority: ['contract', 'shared/base', 'shared/x509', 'shared/server'],
  exchanger: ['contract', 'shared/base', 'shared/x509'],
  driver: ['contract', 'shared/base', 'shared/x509', 'shared/server', 'exchanger'],
}

/** Packages that few files own: code that needs what they do goes through one of these files. */
const OWNERS_OF = {
  '@grpc/grpc-js': ['driver/csi/call.ts', 'driver/csi/server.ts', 'driver/csi/status.ts'],
  '@aws-sdk/client-sts': ['exchanger/credentials/sts.ts'],
  '@kubernetes/client-node': ['shared/server/kube/kube.ts'],
  '@prometheus-io/client': [
    'shared/server/ops-server.ts',
    'shared/server/budget/refusals.ts',
    'webhook/serve/metrics.ts',
    'authority/metrics.ts',
    'driver/metrics.ts',
  ],
  express: ['shared/server/ops-server.ts'],
  jose: ['exchanger/credentials/token.ts'],
  'node-forge': ['webhook/tls/certificates.ts'],
  pino: ['shared/server/log.ts'],
  re2js: ['shared/server/permission.ts'],
}

/** What is no product: it may import the product, and never the other way. */
const NEVER_SHIPPED = ['test', 'tools', 'e2e', 'docs', 'manifests', 'examples']

/** Imports point down only: base <- x509 <- contract <- server <- webhook, authority, driver; exchanger <- test, tools, e2e. */
function restrictedImports(folder, mayImport, mayUse = []) {
  const all = [...Object.keys(MAY_IMPORT), ...NEVER_SHIPPED]
  const forbidden = all.filter((name) => name !== folder && !mayImport.includes(name))
  return {
    'no-restricted-imports': [
      'error',
      {
        patterns: forbidden.map((name) => ({
          regex: `^(\\.\\./)+${folder.startsWith('shared/') ? name.replace('shared/', '(shared/)?') : name}/`,
          message: `${folder}/ may import only from: ${[folder, ...mayImport].join(', ')}`,
        })),
        paths: Object.entries(OWNERS_OF)
          .filter(([name]) => !mayUse.includes(name))
          .map(([name, owners]) => ({ name, message: `only ${owners.join(', ')} use it` })),
      },
    ],
  }
}

const productImports = Object.entries(MAY_IMPORT).map(([folder, mayImport]) => ({
  files: [`${folder}/**/*.ts`],
  ignores: ['**/*.test.ts'],
  rules: restrictedImports(folder, mayImport),
}))
const ownersImports = [...new Set(Object.values(OWNERS_OF).flat())].map((owner) => {
  const folder = Object.keys(MAY_IMPORT).find((name) => owner.startsWith(`${name}/`))
  const owned = Object.keys(OWNERS_OF).filter((name) => OWNERS_OF[name].includes(owner))
  return { files: [owner], rules: restrictedImports(folder, MAY_IMPORT[folder], owned) }
})

/** The real clock, randomness and the process belong to main.ts, and what servers' mains share; everything else takes them as arguments. */
const ONLY_MAIN_TOUCHES_THE_PROCESS = [
  { object: 'process', property: 'env', message: 'only main.ts reads the environment' },
  { object: 'process', property: 'argv', message: 'only main.ts reads the command line' },
  { object: 'process', property: 'exit', message: 'only main.ts ends the process' },
  { object: 'process', property: 'on', message: 'only main.ts listens to signals' },
  { object: 'Date', property: 'now', message: 'take a Clock as an argument' },
  { object: 'Math', property: 'random', message: 'take randomness as an argument' },
]

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'e2e/*.js', 'tools/lint/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { nocreds: { rules: { 'import-order': importOrder } } },
    rules: {
      'nocreds/import-order': 'error',
      complexity: ['error', 12],
      'max-lines': ['error', { max: 260, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/consistent-type-imports': 'error',
    },
  },
  { files: ['**/*.{js,mjs}'], ...tseslint.configs.disableTypeChecked },
  ...productImports,
  ...ownersImports,
  {
    files: Object.keys(MAY_IMPORT).map((folder) => `${folder}/**/*.ts`),
    ignores: ['**/*.test.ts', '**/main.ts', 'shared/base/clock.ts', 'shared/server/program.ts'],
    rules: { 'no-restricted-properties': ['error', ...ONLY_MAIN_TOUCHES_THE_PROCESS] },
  },
  {
    files: ['**/*.test.ts'],
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
)
