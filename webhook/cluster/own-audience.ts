import { readIfPresent } from '../../shared/base/files.ts'

/** The token by which the webhook itself talks to the apiserver. Source: Kubernetes, "Service Accounts". */
export const OWN_TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token'

const MAX_TOKEN_BYTES = 65_536

/**
 * The audiences of the webhook's own token, which are the apiserver's, so each pod's default token has
 * them, too. The token is only parsed, not verified: the kubelet put it there.
 *
 * @param file path of the token
 * @returns undefined if there is no such file, or it does not hold a token with audiences
 */
export async function ownAudiences(file: string): Promise<readonly string[] | undefined> {
  const token = await readIfPresent(file, MAX_TOKEN_BYTES).catch(() => undefined)
  const [, claims = ''] = token?.split('.') ?? []
  try {
    const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as {
      aud?: unknown
    }
    const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
    const texts = audiences.filter((one) => typeof one === 'string')
    return texts.length === 0 ? undefined : texts
  } catch {
    return undefined
  }
}
