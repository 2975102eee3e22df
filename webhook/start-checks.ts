import { AUTHORITY } from '../contract/certificates.ts'
import { appHoldsToken } from '../contract/delivery.ts'
import { PERMITTED_DELIVERIES } from '../contract/names.ts'
import type { Logger } from '../shared/base/log.ts'
import { ownAudiences } from './cluster/own-audience.ts'
import type { WebhookConfig } from './config.ts'

/**
 * Whether the apiserver's own audience is one that nocreds guards. Then every pod has a token for STS, or
 * for the authority, without requesting one, and neither webhook nor guard can detect that.
 *
 * Logs an error if so.
 *
 * @param tokenFile the webhook's own token
 */
export async function isClusterAudienceGuarded(
  config: WebhookConfig,
  tokenFile: string,
  log: Logger,
): Promise<boolean> {
  const audiences = await ownAudiences(tokenFile)
  if (audiences === undefined) {
    log.warn({ tokenFile }, "apiserver's own audience unknown: no token with audiences")
    return false
  }
  const guarded = [config.audience, AUTHORITY.audience].filter((one) => audiences.includes(one))
  if (guarded.length === 0) return false
  log.error(
    {
      guarded: guarded.join(' '),
      clusterAudiences: audiences.join(' '),
      accepted: config['accept-cluster-audience'],
    },
    "the apiserver's own audience is guarded: the default token of every pod is one for STS or the authority, whatever a namespace permits. Use another client ID in IAM and as audience of nocreds-settings, or remove it from the apiserver's --api-audiences; --accept-cluster-audience true serves anyway",
  )
  return true
}

/** Warns if the default delivery needs more than the flag. */
export function warnOfDefaultDelivery(config: WebhookConfig, log: Logger): void {
  const delivery = config['default-delivery']
  if (!appHoldsToken(delivery)) return
  log.warn(
    { delivery },
    `--default-delivery ${delivery} is denied in every namespace whose ${PERMITTED_DELIVERIES} does not have it`,
  )
}
