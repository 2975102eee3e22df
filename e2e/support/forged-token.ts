import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { realClock } from '../../shared/base/clock.ts'
import { ISSUER } from '../cluster/aws.ts'
import { signingKeyPem } from './node.ts'
import type { Suite } from './suite.ts'

/** The facts that a projected token states of its pod. */
export interface BoundPod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly serviceAccountUid: string
}

interface Changes {
  readonly audience?: string
  /** Seconds from now to the token's end; may be negative. */
  readonly endsInSeconds?: number
  /** Seconds from its beginning to its end; default: one hour, as kubelets ask for. */
  readonly lifetimeSeconds?: number
}

/** Signs tokens as a cluster does: claims of `pod`, but for what is to be wrong about them. */
export type TokenSigner = (pod: BoundPod, changes?: Changes) => Promise<string>

/** With the cluster's own key, so that nothing but what is wrong can be the reason of a refusal. */
export async function clusterSigner({ host }: Pick<Suite, 'host'>): Promise<TokenSigner> {
  return signerOf(createPrivateKey(await signingKeyPem(host)))
}

/** With the key of another cluster that says it has the same issuer. */
export function otherClusterSigner(): TokenSigner {
  return signerOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
}

function signerOf(key: KeyObject): TokenSigner {
  return (pod, changes = {}) => {
    const { audience = 'nocreds.dev/authority', endsInSeconds = 3600 } = changes
    const ends = Math.floor(realClock.now() / 1000) + endsInSeconds
    const begins = ends - (changes.lifetimeSeconds ?? 3600)
    const { namespace, name, uid, serviceAccountUid } = pod
    const claims = {
      'kubernetes.io': {
        namespace,
        pod: { name, uid },
        serviceaccount: { name: 'app', uid: serviceAccountUid },
      },
    }
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256' })
      .setIssuer(`https://${ISSUER}`)
      .setSubject(`system:serviceaccount:${namespace}:app`)
      .setAudience(audience)
      .setIssuedAt(begins)
      .setNotBefore(begins)
      .setExpirationTime(ends)
      .sign(key)
  }
}
