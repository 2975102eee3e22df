import { NocredsError } from '../base/errors.ts'
import { KubeError, type KubeClient } from './kube/kube-client.ts'

/** The key of the Secret's data for each field of a state; every field is text. */
export type SecretKeys<State> = { readonly [Field in keyof State]: string }

/** The shared Secret as it was read; writing succeeds only if no other client has written since. */
export interface Stored<State> {
  /** Undefined if the Secret is empty; a missing key is an empty text. */
  readonly state: State | undefined
  /** @returns false if another replica was faster; then read again */
  replace(state: State): Promise<boolean>
}

/**
 * Reads a Secret that all replicas share. The manifests create it empty, so no permission to create Secrets is
 * needed.
 *
 * @throws NocredsError `ERR_SECRET_MISSING`; KubeError
 */
export async function readSharedSecret<State extends { readonly [Field in keyof State]: string }>(
  kube: KubeClient,
  path: string,
  keys: SecretKeys<State>,
): Promise<Stored<State>> {
  const secret = await kube.get(path)
  if (secret === undefined) {
    throw new NocredsError(
      'ERR_SECRET_MISSING',
      `the Secret ${path} does not exist; apply the manifests again`,
    )
  }
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>
  return {
    state: Object.keys(data).length === 0 ? undefined : decode(data, keys),
    async replace(state) {
      try {
        await kube.replace(path, { ...secret, data: encode(state, keys) })
        return true
      } catch (error) {
        if (error instanceof KubeError && error.status === 409) return false
        throw error
      }
    },
  }
}

function decode<State>(data: Readonly<Record<string, string>>, keys: SecretKeys<State>): State {
  const entries = Object.entries<string>(keys).map(([field, key]) => [
    field,
    Buffer.from(data[key] ?? '', 'base64').toString('utf8'),
  ])
  return Object.fromEntries(entries) as State
}

/** Empty fields are omitted. */
export function encode<State extends { readonly [Field in keyof State]: string }>(
  state: State,
  keys: SecretKeys<State>,
): Record<string, string> {
  const texts = Object.entries<string>(state).filter(([, text]) => text !== '')
  return Object.fromEntries(
    texts.map(([field, text]) => [
      keys[field as keyof State],
      Buffer.from(text).toString('base64'),
    ]),
  )
}
