import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Clock } from '../../shared/base/clock.ts'
import { UsageError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { readPem } from './files.ts'
import { watch, type Watched } from './watched.ts'

/** The CAs of which a caller must present a certificate. */
export interface ClientCa {
  readonly bundlePem: string
}

/**
 * `--client-ca`: only callers with a client certificate of one of these CAs get through the handshake. Give
 * it a CA of its own: whoever holds any certificate of it may ask for admissions.
 *
 * Source: Kubernetes, "Dynamic Admission Control", Authenticate API servers.
 */
export function watchClientCa(file: string, clock: Clock, log: Logger): Watched<ClientCa> {
  return watch<ClientCa>({
    what: 'client CA',
    clock,
    log,
    async read(before) {
      const bundlePem = await readPem('--client-ca', file)
      return bundlePem === before?.bundlePem ? before : checked(bundlePem, file)
    },
    describe: ({ bundlePem }) => ({ certificates: splitPem(bundlePem).length }),
  })
}

/** @throws UsageError: an empty bundle would refuse everybody, a bad one is a slip */
function checked(bundlePem: string, file: string): ClientCa {
  const certificates = splitPem(bundlePem)
  try {
    for (const pem of certificates) if (!new X509Certificate(pem).ca) throw new Error('no CA')
    createSecureContext({ ca: bundlePem })
  } catch {
    throw new UsageError(
      `--client-ca ${file} holds something else; allowed: CA certificates in PEM`,
    )
  }
  if (certificates.length === 0)
    throw new UsageError(`--client-ca ${file} holds no certificate; allowed: one or more in PEM`)
  return { bundlePem }
}
