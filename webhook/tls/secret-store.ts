import { NocredsError } from '../../platform/errors.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'
import type { TlsState } from './rotation.ts'

/** Keys of the Secret's data; `ca.crt`, `tls.crt` and `tls.key` are what tools expect. */
const DATA_KEYS: Readonly<Record<keyof TlsState, string>> = {
  bundlePem: 'ca.crt',
  caCertPem: 'ca-signing.crt',
  caKeyPem: 'ca-signing.key',
  certPem: 'tls.crt',
  keyPem: 'tls.key',
}

class SecretError extends NocredsError<'ERR_TLS_SECRET_MISSING'> {}

/** The shared Secret as it was read; writing it succeeds only while nobody else has. */
export interface StoredState {
  /** Undefined where the Secret is empty; a key that it lacks is empty text. */
  readonly state: TlsState | undefined
  /** @returns false where another replica was faster; read again then */
  replace(state: TlsState): Promise<boolean>
}

/**
 * Reads the Secret that all replicas share. The manifests bring it, empty, so the webhook needs no
 * right to create Secrets.
 *
 * @throws SecretError where it does not exist; KubeError
 */
export async function readStoredState(kube: KubeClient, path: string): Promise<StoredState> {
  const secret = await kube.get(path)
  if (secret === undefined) {
    throw new SecretError(
      'ERR_TLS_SECRET_MISSING',
      `the Secret ${path} does not exist; apply the manifests again`,
    )
  }
  return {
    state: decode(secret),
    async replace(state) {
      try {
        await kube.replace(path, { ...secret, data: encode(state) })
        return true
      } catch (error) {
        if (error instanceof KubeError && error.status === 409) return false
        throw error
      }
    },
  }
}

function decode(secret: KubeObject): TlsState | undefined {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>
  if (Object.keys(data).length === 0) return undefined
  const text = (field: keyof TlsState): string =>
    Buffer.from(data[DATA_KEYS[field]] ?? '', 'base64').toString('utf8')
  return {
    bundlePem: text('bundlePem'),
    caCertPem: text('caCertPem'),
    caKeyPem: text('caKeyPem'),
    certPem: text('certPem'),
    keyPem: text('keyPem'),
  }
}

function encode(state: TlsState): Record<string, string> {
  return Object.fromEntries(
    Object.entries(DATA_KEYS).map(([field, key]) => [
      key,
      Buffer.from(state[field as keyof TlsState]).toString('base64'),
    ]),
  )
}
