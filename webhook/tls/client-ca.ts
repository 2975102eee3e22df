import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Clock } from '../../shared/base/clock.ts'
import { UsageError } from '../../shared/base/errors.ts'
import type { Logger } from '../../shared/base/log.ts'
import { splitPem } from '../../shared/x509/pem.ts'
import { readPem } from './files.ts'
import { watch, type Watched } from './watched.ts'

/** The CAs, one of which must have issued a client's certificate. */
export interface ClientCa {
  readonly bundlePem: string
}

/**
 * `--client-ca`: only clients with a certificate of one of these CAs complete the handshake. Use a
 * dedicated CA: a client with any certificate of it can call the webhook.
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

/** @throws UsageError for an empty bundle, which would refuse every client, and for a malformed one */
function checked(bundlePem: string, file: string): ClientCa {
  const certificates = splitPem(bundlePem)
  try {
    for (const pem of certificates) if (!new X509Certificate(pem).ca) throw new Error('not a CA')
    createSecureContext({ ca: bundlePem })
  } catch {
    throw new UsageError(`--client-ca ${file} is not a CA bundle; allowed: CA certificates in PEM`)
  }
  if (certificates.length === 0)
    throw new UsageError(`--client-ca ${file} holds no certificate; allowed: one or more in PEM`)
  return { bundlePem }
}
