import { NocredsError } from '../../shared/base/errors.ts'

/**
 * Replaces the SDK's default credential chain in the bundle (tools/build/programs.ts). The one call
 * of an exchange is unsigned, so the SDK asks for credentials only if it wants to sign, which it does for some regions
 * and endpoints even with a token. Without the chain no code here reads key files, queries metadata endpoints or
 * runs commands, and there are 130 KB less to load.
 */
export function defaultProvider(): () => Promise<never> {
  return () => Promise.reject(new NocredsError('SigningAsked', 'an exchange is never signed'))
}
