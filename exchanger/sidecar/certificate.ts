import { join } from 'node:path'
import { AUTHORITY_VOLUME } from '../../contract/certificates.ts'
import type { CertificateConfig } from '../../contract/exchanger-env.ts'
import { ensureFolder } from '../../shared/base/files.ts'
import { certificateFor } from '../failure.ts'
import { openTlsFolder } from '../publish/tls-folder.ts'
import { runCertificate, runTrustBundle } from './child.ts'
import { Refresher } from './refresher.ts'
import { CERTIFICATE } from './renewable.ts'
import { runExclusively, versionOf, type RefreshTask, type TaskDeps } from './task.ts'
import { followTrustBundle } from './trust-bundle.ts'

/** Prepares a certificate, which is kept fresh once the refresher is started. Throws if the folder is unusable. */
export async function openCertificate(
  config: CertificateConfig,
  deps: TaskDeps,
): Promise<RefreshTask> {
  const { clock, random, certificate, onGiveUp, hasGateOpened } = deps
  const { authorityFolder, tlsFolder, dnsNames = [] } = config
  const log = deps.log()
  const tokenFile = join(authorityFolder, AUTHORITY_VOLUME.files.token)
  log.info({ pod: config.pod, dnsNames: dnsNames.join(',') }, 'certificate requested')
  await ensureFolder(tlsFolder)
  const store = await openTlsFolder(tlsFolder, clock.now())
  const wanted = certificateFor(config)
  const refresher = new Refresher({
    renewable: CERTIFICATE,
    wanted,
    clock,
    random,
    store,
    log,
    exchange: (abort) =>
      runExclusively(deps, () => {
        // Once there is a trust bundle from the authority, the mounted one is no longer used.
        const command = store.current() === undefined ? 'certificate' : 'renewal'
        return runCertificate(certificate, command, config, abort)
      }),
    tokenVersion: () => versionOf(tokenFile),
    onGiveUp,
    hasGateOpened,
  })
  const trustBundle = join(authorityFolder, AUTHORITY_VOLUME.files.trustBundle)
  const stopFollowing = followTrustBundle({
    clock,
    random,
    file: trustBundle,
    fetch: (abort) => runExclusively(deps, () => runTrustBundle(certificate, config, abort)),
    store,
    log,
  })
  return { wanted, refresher, close: stopFollowing }
}
