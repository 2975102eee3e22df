import type { KubeClient } from '../../shared/server/kube/kube-client.ts'
import {
  readSharedSecret,
  type SecretKeys,
  type Stored,
} from '../../shared/server/shared-secret.ts'
import type { TlsState } from './rotation.ts'

/** Keys of the Secret's data; `ca.crt`, `tls.crt` and `tls.key` are what tools expect. */
const TLS_KEYS: SecretKeys<TlsState> = {
  bundlePem: 'ca.crt',
  caCertPem: 'ca-signing.crt',
  caKeyPem: 'ca-signing.key',
  certPem: 'tls.crt',
  keyPem: 'tls.key',
}

/** Certificate and CA that the replicas share. Throws as readSharedSecret does. */
export function readStoredState(kube: KubeClient, path: string): Promise<Stored<TlsState>> {
  return readSharedSecret(kube, path, TLS_KEYS)
}
