/** Test double: the webhook's flags as its tests have them. Never shipped. */
import { DEFAULT_EXCHANGER_RESOURCES } from '../../contract/exchanger-resources.ts'
import { DEFAULT_MESH_PROXIES } from '../../contract/names.ts'
import type { Settings } from '../../webhook/admit/decide-pod.ts'

export const SETTINGS: Settings = {
  exchangerImage: 'nocreds/exchanger:0.1.0',
  stsEndpoint: undefined,
  stsProxy: undefined,
  stsNoProxy: undefined,
  stsCa: undefined,
  clusterArn: undefined,
  clusterName: undefined,
  exchangerImages: [],
  exchangerImagePullPolicy: 'IfNotPresent',
  exchangerUser: 65532,
  exchangerResources: DEFAULT_EXCHANGER_RESOURCES,
  meshProxies: DEFAULT_MESH_PROXIES,
  certificateSource: 'authority',
  trustBundle: 'config-map',
  clusterDomain: 'cluster.local',
  authorityUrl: 'https://nocreds-authority.nocreds-system.svc',
  audience: 'sts.amazonaws.com',
  delivery: 'process',
  exchanger: 'sidecar',
  driverAudiences: ['sts.amazonaws.com', 'nocreds.dev/authority'],
  region: undefined,
  baseRoleArn: undefined,
}
