import type { Settings } from './decide-pod.ts'

/** The webhook's flags as the tests of this folder have them. */
export const SETTINGS: Settings = {
  exchangerImage: 'nocreds/exchanger:0.1.0',
  stsEndpoint: undefined,
  audience: 'sts.amazonaws.com',
  delivery: 'process',
  region: undefined,
}
