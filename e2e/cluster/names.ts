import { join } from 'node:path'
import type { Host } from '../support/host.ts'
import { REPOSITORY } from '../versions.ts'

export const CLUSTER = 'nocreds-e2e'
/** kind's name of the container that is the node. */
export const NODE_CONTAINER = `${CLUSTER}-control-plane`

/** What a run leaves to look at; not in git. */
export const ARTIFACTS = join(REPOSITORY, 'e2e', '.artifacts')
/** install.yaml as it was applied: with the STS of the suite. */
export const INSTALL = join(ARTIFACTS, 'install.yaml')
export const INSTALL_DRIVER = join(ARTIFACTS, 'install-driver.yaml')

export function kubeconfigOf({ cache }: Host): string {
  return join(cache, 'kubeconfig')
}
