import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DRIVER } from '../../contract/driver.ts'
import type { Host } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { authorityReached, webhookReached } from '../support/reached.ts'
import { REPOSITORY } from '../versions.ts'
import { STS_ENDPOINT } from './aws.ts'
import { ARTIFACTS, INSTALL, INSTALL_DRIVER } from './names.ts'

const SYSTEM = ['--namespace', 'nocreds-system']

/** The one setting that an operator without AWS's own STS changes, quoted as in install.yaml or as kustomize prints it. */
const SETTING = /stsEndpoint: (''|"")/

/**
 * A manifest of the whole installation, with the STS of the suite.
 *
 * @throws Error if the setting is not there exactly once
 */
export function withSts(manifest: string): string {
  if (manifest.match(new RegExp(SETTING, 'g'))?.length !== 1)
    throw new Error(`the manifest has no single line ${SETTING.source}`)
  // It is by plain HTTP, which settings of the former version do not know.
  return manifest
    .replace(SETTING, `stsEndpoint: ${STS_ENDPOINT}`)
    .replace('stsHttp: refused', 'stsHttp: accepted')
}

/** Installs the driver as an operator does, with the STS of the suite, and waits until every node has it. */
export async function installDriver(host: Host): Promise<void> {
  const manifest = await readFile(join(REPOSITORY, 'manifests', 'install-driver.yaml'), 'utf8')
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(INSTALL_DRIVER, withSts(manifest))
  const kubectl = kubectlOf(host)
  await kubectl(['apply', '-f', INSTALL_DRIVER])
  const rollout = ['rollout', 'status', 'daemonset/nocreds-driver', '--timeout=180s']
  await kubectl([...rollout, '--namespace', DRIVER.namespace])
}

/** Takes the driver away, once no pod uses it any more. */
export async function uninstallDriver(host: Host): Promise<void> {
  await kubectlOf(host)(['delete', '-f', INSTALL_DRIVER, '--timeout=120s'])
}

/** Installs nocreds as an operator does, kubectl apply -f install.yaml, and waits until it is reached. */
export async function installNocreds(host: Host): Promise<void> {
  const manifest = await readFile(join(REPOSITORY, 'manifests', 'install.yaml'), 'utf8')
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(INSTALL, withSts(manifest))
  const kubectl = kubectlOf(host)
  await kubectl(['apply', '-f', INSTALL])
  for (const name of ['nocreds-authority', 'nocreds-webhook'])
    await kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=180s', ...SYSTEM])
  await authorityReached(host)
  await webhookReached(kubectl)
}
