import { caBundle, noProxy } from '../../contract/sts-route.ts'
import * as values from '../../contract/values.ts'
import { UsageError } from '../base/errors.ts'
import { flag, type Config } from './flags.ts'
import { refuseUnusableRoute } from './sts-route.ts'

/** How STS is reached: the same flags for the webhook, which tells sidecars, and for the driver. */
export const STS_FLAGS = {
  'sts-endpoint': flag(values.httpUrl, {
    help: 'STS to use instead of the regional one of AWS (VPC endpoint, other STS)',
  }),
  'sts-http': flag(values.oneOf('refused', 'accepted'), {
    default: 'refused',
    help: 'whether --sts-endpoint may be http: tokens and credentials are then sent in clear text',
  }),
  'sts-proxy': flag(values.proxyUrl, {
    help: 'proxy through which STS is reached (CONNECT); not used for an http --sts-endpoint and the authority',
  }),
  'sts-no-proxy': flag(noProxy, { help: 'hosts that are reached without --sts-proxy' }),
  'sts-ca': flag(caBundle, {
    help: 'PEM, not a file: CAs that verify STS and an https --sts-proxy, instead of the public ones',
  }),
} as const

/** @throws UsageError for flags that contradict each other, or that Node cannot use */
export function refuseContradictoryStsFlags(config: Config<typeof STS_FLAGS>): void {
  const endpoint = config['sts-endpoint']
  if (endpoint?.startsWith('http:') === true && config['sts-http'] !== 'accepted') {
    throw new UsageError(
      `--sts-endpoint is ${JSON.stringify(endpoint)}, over which tokens and credentials are sent in clear text; allowed: an https URL, or --sts-http accepted (stsHttp of nocreds-settings)`,
    )
  }
  refuseUnusableRoute({
    proxy: config['sts-proxy'],
    noProxy: config['sts-no-proxy'],
    ca: config['sts-ca'],
  })
}
