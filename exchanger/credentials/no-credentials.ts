import { NocredsError } from '../../shared/base/errors.ts'

/** The SDK wants to sign: for this region or endpoint it would do so even with a token. */
class SigningError extends NocredsError<'SigningAsked'> {}

/**
 * What the bundle has in place of the SDK's default credential chain (tools/build/programs.ts). The one call
 * of an exchange is unsigned, so nobody asks for credentials. Without the chain there is no code here
 * that reads key files, asks metadata endpoints or runs commands, and 130 KB less to start.
 */
export function defaultProvider(): () => Promise<never> {
  return () => Promise.reject(new SigningError('SigningAsked', 'an exchange signs nothing'))
}
