import { NocredsError } from '../../platform/errors.ts'
import { KubeError, type KubeClient, type KubeObject } from '../../service/kube/kube-client.ts'
import type { CaState } from './state.ts'

/** Keys of the Secret's data; SECURITY.md says what an operator who brings a CA writes into them. */
export const DATA_KEYS: Readonly<Record<keyof CaState, string>> = {
  rootsPem: 'ca.crt',
  chainPem: 'ca-signing.crt',
  keyPem: 'ca-signing.key',
  rootCertPem: 'root.crt',
  rootKeyPem: 'root.key',
  previousPem: 'previous.crt',
  previousUntil: 'previous-until',
}

class SecretError extends NocredsError<'ERR_CA_SECRET_MISSING'> {}

/** The shared Secret as it was read; writing it succeeds only while nobody else has. */
export interface StoredCa {
  /** Undefined where the Secret is empty. */
  readonly state: CaState | undefined
  /** @returns false where another replica was faster; read again then */
  replace(state: CaState): Promise<boolean>
}

/**
 * Reads the Secret that all replicas share. The manifests bring it, empty, so the authority needs no
 * right to create Secrets.
 *
 * @throws SecretError where it does not exist; KubeError
 */
export async function readStoredCa(kube: KubeClient, path: string): Promise<StoredCa> {
  const secret = await kube.get(path)
  if (secret === undefined) {
    throw new SecretError(
      'ERR_CA_SECRET_MISSING',
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

function decode(secret: KubeObject): CaState | undefined {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>
  if (Object.keys(data).length === 0) return undefined
  const text = (field: keyof CaState): string =>
    Buffer.from(data[DATA_KEYS[field]] ?? '', 'base64').toString('utf8')
  return {
    rootsPem: text('rootsPem'),
    chainPem: text('chainPem'),
    keyPem: text('keyPem'),
    rootCertPem: text('rootCertPem'),
    rootKeyPem: text('rootKeyPem'),
    previousPem: text('previousPem'),
    previousUntil: text('previousUntil'),
  }
}

function encode(state: CaState): Record<string, string> {
  const texts = Object.entries(state).filter(([, text]) => text !== '') as [keyof CaState, string][]
  return Object.fromEntries(
    texts.map(([field, text]) => [DATA_KEYS[field], Buffer.from(text).toString('base64')]),
  )
}
