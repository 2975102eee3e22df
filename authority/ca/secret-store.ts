import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import {
  readSharedSecret,
  type SecretKeys,
  type Stored,
} from '../../shared/server/shared-secret.ts'
import type { CaState } from './state.ts'

/** Keys of the Secret's data; SECURITY.md says which ones an operator with an own CA fills in. */
export const CA_KEYS: SecretKeys<CaState> = {
  rootsPem: 'ca.crt',
  chainPem: 'ca-signing.crt',
  keyPem: 'ca-signing.key',
  rootCertPem: 'root.crt',
  rootKeyPem: 'root.key',
  previousPem: 'previous.crt',
  previousUntil: 'previous-until',
}

/** Reads the CA that the replicas share. Throws the same as readSharedSecret. */
export function readStoredCa(kube: KubeClient, path: string): Promise<Stored<CaState>> {
  return readSharedSecret(kube, path, CA_KEYS)
}
