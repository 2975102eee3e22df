import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { kubectlOf } from '../support/kubectl.ts'
import { REPOSITORY } from '../versions.ts'
import { STS_ENDPOINT } from './aws.ts'
import { ARTIFACTS, INSTALL } from './names.ts'

const SYSTEM = ['--namespace', 'nocreds-system']

/** The settings that an operator without AWS's own STS changes, as install.yaml has them and as they become. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ["stsEndpoint: ''", `stsEndpoint: ${STS_ENDPOINT}`],
  ...(STS_ENDPOINT.startsWith('http:')
    ? ([['stsHttp: refused', 'stsHttp: accepted']] as const)
    : []),
]

/** Installs nocreds as an operator does: kubectl apply -f install.yaml. */
export async function installNocreds(host: Host): Promise<void> {
  const manifest = await readFile(join(REPOSITORY, 'manifests', 'install.yaml'), 'utf8')
  await mkdir(ARTIFACTS, { recursive: true })
  await writeFile(INSTALL, withSettings(manifest))
  const kubectl = kubectlOf(host)
  await kubectl(['apply', '-f', INSTALL])
  for (const name of ['nocreds-authority', 'nocreds-webhook'])
    await kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=180s', ...SYSTEM])
}

function withSettings(manifest: string): string {
  let changed = manifest
  for (const [line, becomes] of SETTINGS) {
    if (changed.split(line).length !== 2)
      throw new Error(`manifests/install.yaml has no single line ${line}`)
    changed = changed.replace(line, becomes)
  }
  return changed
}
