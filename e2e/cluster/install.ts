import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { authorityReached, webhookReached } from '../support/reached.ts'
import { REPOSITORY } from '../versions.ts'
import { STS_ENDPOINT } from './aws.ts'
import { ARTIFACTS, INSTALL } from './names.ts'

const SYSTEM = ['--namespace', 'nocreds-system']

/** The one setting that an operator without AWS's own STS changes. */
const SETTING = "stsEndpoint: ''"

/** Installs nocreds as an operator does, kubectl apply -f install.yaml, and waits until it is reached. */
export async function installNocreds(host: Host): Promise<void> {
  const manifest = await readFile(join(REPOSITORY, 'manifests', 'install.yaml'), 'utf8')
  if (manifest.split(SETTING).length !== 2)
    throw new Error(`manifests/install.yaml has no single line ${SETTING}`)
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(INSTALL, manifest.replace(SETTING, `stsEndpoint: ${STS_ENDPOINT}`))
  const kubectl = kubectlOf(host)
  await kubectl(['apply', '-f', INSTALL])
  for (const name of ['nocreds-authority', 'nocreds-webhook'])
    await kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=180s', ...SYSTEM])
  await authorityReached(host)
  await webhookReached(kubectl)
}
