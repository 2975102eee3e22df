import tseslint from 'typescript-eslint'

/** Folders of the product, each with the folders it may import from (besides itself). */
const MAY_IMPORT = {
  platform: [],
  contract: ['platform'],
  webhook: ['contract', 'platform'],
  exchanger: ['contract', 'platform'],
}

/** Imports point down only: platform <- contract <- webhook, exchanger <- testbed, demo, e2e. */
function directionOfImports(folder, allowed) {
  const all = [...Object.keys(MAY_IMPORT), 'testbed', 'demo', 'build', 'e2e']
  const forbidden = all.filter((name) => name !== folder && !allowed.includes(name))
  return {
    files: [`${folder}/**/*.ts`],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: forbidden.map((name) => ({
            regex: `^(\\.\\./)+${name}/`,
            message: `${folder}/ may import only from: ${[folder, ...allowed].join(', ')}`,
          })),
        },
      ],
    },
  }
}

/** The real clock, randomness and the process belong to main.ts; everything else takes them as arguments. */
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
        projectService: { allowDefaultProject: ['*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      complexity: ['error', 12],
      'max-lines': ['error', { max: 260, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/consistent-type-imports': 'error',
    },
  },
  { files: ['*.js'], ...tseslint.configs.disableTypeChecked },
  ...Object.entries(MAY_IMPORT).map(([folder, allowed]) => directionOfImports(folder, allowed)),
  {
    files: Object.keys(MAY_IMPORT).map((folder) => `${folder}/**/*.ts`),
    ignores: ['**/*.test.ts', '**/main.ts', 'platform/clock.ts'],
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
