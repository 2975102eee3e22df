import { NocredsError } from '../../shared/base/errors.ts'

/**
 * Replaces the SDK's default credential chain in the bundle (tools/build/programs.ts). The first request of an exchange
 * is unsigned, and a later one is signed with the credentials that it is given, so the SDK asks for others only if it
 * wants to sign the first one, which it does for some regions and endpoints even with a token. Without the chain no code
 * here reads key files, queries metadata endpoints or runs commands, and there are 130 KB less to load.
 */
export function defaultProvider(): () => Promise<never> {
  return () =>
    Promise.reject(
      new NocredsError('SigningAsked', 'the first request of an exchange is never signed'),
    )
}
