import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { bundleExchanger } from '../../testbed/exchanger-programs.ts'
import { parseCredentialDocument } from '../../contract/credentials.ts'
import { EXCHANGER } from '../../contract/names.ts'
import { realClock } from '../../platform/clock.ts'
import { makePod } from '../../testbed/exchanger-pod.ts'
import { CONFIG } from '../../testbed/exchanger-samples.ts'
import { startIssuer } from '../../testbed/issuer.ts'
import { startSts } from '../../testbed/sts/server.ts'
import { trustPolicy } from '../../testbed/sts/trust-policy.ts'

/** The sidecar's user: no entry in /etc/passwd, no home, and in a container no HOME either. */
const SIDECAR_USER = { uid: EXCHANGER.userId, gid: EXCHANGER.userId }

/** Only root may become another user, and that user must be able to reach this Node. */
const isPossible = spawnSync(process.execPath, ['--version'], SIDECAR_USER).status === 0

;(isPossible ? test : test.skip)('an exchange works for a user without a home', async () => {
  const issuer = await startIssuer({ clock: realClock })
  const trust = trustPolicy({
    issuer: issuer.url,
    subject: `system:serviceaccount:${CONFIG.namespace}:${CONFIG.serviceAccount}`,
    audience: CONFIG.audience,
    accountId: '111122223333',
  })
  const roles = [{ arn: CONFIG.roleArn, trust }]
  const sts = await startSts({ clock: realClock, issuers: [issuer], roles })
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-user-'))
  try {
    await bundleExchanger(folder)
    const pod = await makePod({ stsEndpoint: sts.url })
    const { namespace, serviceAccount, pod: name, audience } = CONFIG
    const bound = { namespace, serviceAccount, pod: name, audience, expiresInSeconds: 600 }
    await pod.putToken(await issuer.mintToken(bound))
    for (const opened of [folder, dirname(pod.config.tokenFile)]) await chmod(opened, 0o755)

    const child = spawn(process.execPath, [join(folder, 'exchanger.mjs'), 'exchange'], {
      ...SIDECAR_USER,
      env: pod.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const closed = once(child, 'close')
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    await closed
    expect(stderr).toBe('')
    expect(parseCredentialDocument(stdout)).toMatchObject({ AccountId: '111122223333' })
  } finally {
    await Promise.all([sts.stop(), issuer.close(), rm(folder, { recursive: true })])
  }
})
