import { NocredsError } from '../../shared/base/errors.ts'
import type { KubeClient, Operation } from '../../shared/server/kube/kube-client.ts'

class WebhookConfigurationError extends NocredsError<'ERR_WEBHOOK_CONFIGURATION_MISSING'> {}

/**
 * Brings the caBundle of every webhook of the configuration in step, and writes only where it is not,
 * so that replicas do not take turns. A change by someone else in between makes the patch fail by its
 * test of the resourceVersion; the next check tries again.
 *
 * @throws WebhookConfigurationError where it does not exist; KubeError
 */
export async function bringCaBundleInStep(
  kube: KubeClient,
  path: string,
  bundlePem: string,
): Promise<'in-step' | 'written'> {
  const configuration = await kube.get(path)
  if (configuration === undefined) {
    throw new WebhookConfigurationError(
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
  if (changes.length === 0) return 'in-step'
  const { resourceVersion } = configuration.metadata
  await kube.patch(path, [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    ...changes,
  ])
  return 'written'
}
