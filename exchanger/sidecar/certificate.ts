import { join } from 'node:path'
import { AUTHORITY_VOLUME } from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { ensureFolder } from '../../shared/base/files.ts'
import { certificateFor } from '../failure.ts'
import { openTlsFolder } from '../publish/tls-folder.ts'
import { runCertificate, runTrustBundle } from './child.ts'
import { Refresher } from './refresher.ts'
import { CERTIFICATE } from './renewable.ts'
import { runExclusively, versionOf, type Part, type TaskDeps } from './task.ts'
import { followTrustBundle } from './trust-bundle.ts'

/** A certificate, kept fresh once the refresher is started. Throws where the folder cannot be used. */
export async function openCertificate(config: CertificateConfig, deps: TaskDeps): Promise<Part> {
  const { clock, random, certify, onGiveUp } = deps
  const { authorityFolder, tlsFolder, dnsNames = [] } = config
  const log = deps.log()
  const tokenFile = join(authorityFolder, AUTHORITY_VOLUME.files.token)
  log.info({ pod: config.pod, dnsNames: dnsNames.join(',') }, 'certificate wanted')
  await ensureFolder(tlsFolder)
  const store = await openTlsFolder(tlsFolder, clock.now())
  const wanted = certificateFor(config)
  const refresher = new Refresher({
    kind: CERTIFICATE,
    wanted,
    clock,
    random,
    store,
    log,
    exchange: (abort) =>
      runExclusively(deps, () => {
        // Once there is something that the authority gave, the mounted trust bundle has no say.
        const errand = store.current() === undefined ? 'certificate' : 'renewal'
        return runCertificate(certify, errand, config, abort)
      }),
    tokenVersion: () => versionOf(tokenFile),
    onGiveUp,
  })
  const trustBundle = join(authorityFolder, AUTHORITY_VOLUME.files.trustBundle)
  const stopFollowing = followTrustBundle({
    clock,
    random,
    file: trustBundle,
    fetch: (abort) => runExclusively(deps, () => runTrustBundle(certify, config, abort)),
    store,
    log,
  })
  return { wanted, refresher, close: stopFollowing }
}
