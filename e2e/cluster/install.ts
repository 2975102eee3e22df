import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DRIVER } from '../../contract/driver.ts'
import { CSI_DRIVER } from '../../contract/names.ts'
import type { Host } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { authorityReached, webhookReached } from '../support/reached.ts'
import { waitFor } from '../support/wait.ts'
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

/**
 * Installs the driver as an operator does, with the STS of the suite, and waits until every node has it. Does nothing
 * if it is there.
 */
export async function installDriver(host: Host): Promise<void> {
  const manifest = await readFile(join(REPOSITORY, 'manifests', 'install-driver.yaml'), 'utf8')
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(INSTALL_DRIVER, withSts(manifest))
  const kubectl = kubectlOf(host)
  await kubectl(['apply', '-f', INSTALL_DRIVER])
  const rollout = ['rollout', 'status', 'daemonset/nocreds-driver', '--timeout=180s']
  await kubectl([...rollout, '--namespace', DRIVER.namespace])
}

/** Takes the driver away, if it is there, once no pod uses it any more: pods that are being deleted need it. */
export async function uninstallDriver(host: Host): Promise<void> {
  const kubectl = kubectlOf(host)
  const drivers = 'jsonpath={.items[*].spec.volumes[*].csi.driver}'
  await waitFor('the last pod of the driver to be gone', 180_000, async () => {
    const used = await kubectl(['get', 'pods', '--all-namespaces', '--output', drivers])
    return used.split(' ').includes(CSI_DRIVER) ? undefined : true
  })
  await deleteDriver(host)
}

/** Takes the driver away, also from pods that use it. */
export async function deleteDriver(host: Host): Promise<void> {
  const manifest = join(REPOSITORY, 'manifests', 'install-driver.yaml')
  await kubectlOf(host)(['delete', '-f', manifest, '--ignore-not-found', '--timeout=120s'])
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
