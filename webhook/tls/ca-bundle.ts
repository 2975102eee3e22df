import { NocredsError } from '../../shared/base/errors.ts'
import type { KubeClient, Operation } from '../../shared/server/kube/kube-client.ts'

/**
 * Syncs the caBundle of every webhook of the configuration. Writes only if one differs, so that replicas
 * do not overwrite each other in turn. If someone else changed the object in between, the patch fails at
 * its test of the resourceVersion, and the next check tries again.
 *
 * @throws NocredsError ERR_WEBHOOK_CONFIGURATION_MISSING; KubeError
 */
export async function syncCaBundle(
  kube: KubeClient,
  path: string,
  bundlePem: string,
): Promise<'up-to-date' | 'written'> {
  const configuration = await kube.get(path)
  if (configuration === undefined) {
    throw new NocredsError(
      'ERR_WEBHOOK_CONFIGURATION_MISSING',
      `${path} does not exist; apply the manifests again`,
    )
  }
  const wanted = Buffer.from(bundlePem).toString('base64')
  const webhooks = (configuration['webhooks'] ?? []) as { clientConfig?: { caBundle?: string } }[]
  const changes = webhooks.flatMap<Operation>(({ clientConfig }, index) =>
    clientConfig?.caBundle === wanted
      ? []
      : [{ op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: wanted }],
  )
  if (changes.length === 0) return 'up-to-date'
  const { resourceVersion } = configuration.metadata
  await kube.patch(path, [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    ...changes,
  ])
  return 'written'
}
