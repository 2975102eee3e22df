/** Test double: the webhook's flags as its tests have them. Never shipped. */
import type { Settings } from '../webhook/admit/decide-pod.ts'

export const SETTINGS: Settings = {
  exchangerImage: 'nocreds/exchanger:0.1.0',
  stsEndpoint: undefined,
  stsProxy: undefined,
  stsNoProxy: undefined,
  stsCa: undefined,
  exchangerImages: [],
  exchangerImagePullPolicy: 'IfNotPresent',
  certificateDoor: 'authority',
  trustBundle: 'config-map',
  clusterDomain: 'cluster.local',
  authorityUrl: 'https://nocreds-authority.nocreds-system.svc',
  audience: 'sts.amazonaws.com',
  delivery: 'process',
  region: undefined,
}
