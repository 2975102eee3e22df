import base from '../jest.config.js'

/** The suite on the cluster that KUBECONFIG names; one file at a time, as they share it. */
export default {
  ...base,
  rootDir: '..',
  testMatch: ['<rootDir>/e2e/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  maxWorkers: 1,
  testTimeout: 300_000,
}
