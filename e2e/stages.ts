import { uninstallDriver } from './cluster/install.ts'
import type { Host } from './support/host.ts'
import { REPOSITORY } from './versions.ts'

const NODE = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
const JEST = ['node_modules/jest/bin/jest.js', '--config', 'e2e/jest.config.js']

/** Runs Jest with these arguments on the cluster; returns its exit code. */
export function jest(host: Host, args: readonly string[]): Promise<number> {
  // Two at once share the terminal, so neither redraws it.
  const quiet = host.with({ CI: '1' })
  return quiet.show(process.execPath, [...NODE, ...JEST, ...args], { cwd: REPOSITORY })
}

/**
 * Runs the whole suite, in an order that keeps what disturbs away from what would notice. Each slow file
 * mostly waits, so it runs beside a stage.
 *
 * @returns the exit code, 0 if every test passed
 */
export async function everyStage(host: Host): Promise<number> {
  const stage = (...args: string[]): Promise<number> => jest(host, args)
  const outage = stage('e2e/slow/sts-outage')
  const promises = await stage('e2e/(airgap|cluster|promises|support)/', '--maxWorkers=2')
  // Each file hides its own Namespaces from webhook or guard, and changes nothing else of theirs.
  const attacks = await stage('e2e/attacks/(?!flood)', '--maxWorkers=2')
  // They change the flags of webhook and authority, so one at a time.
  const certificates = await stage('e2e/certificates/')
  const roles = await stage('e2e/roles/')
  const driver = await stage('e2e/driver/')
  await uninstallDriver(host)
  // It wants every processor, so nothing else runs meanwhile.
  const before = await outage
  const flood = await stage('e2e/attacks/flood')
  // It restarts the kubelet, which interrupts logs and exec; the faults use neither at length.
  const refresh = stage('e2e/slow/refresh')
  const faults = await stage('e2e/faults/')
  const slow = Math.max(before, await refresh)
  const node = await stage('e2e/node/')
  return Math.max(promises, attacks, certificates, roles, driver, flood, faults, slow, node)
}
