import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { parseCredentialDocument } from '../../contract/credentials.ts'
import { EXCHANGER } from '../../contract/names.ts'
import { realClock } from '../../shared/base/clock.ts'
import { makePod } from '../../test/fakes/exchanger-pod.ts'
import { bundleExchanger } from '../../test/fakes/exchanger-programs.ts'
import { CONFIG } from '../../test/fakes/exchanger-samples.ts'
import { startIssuer } from '../../test/fakes/issuer.ts'
import { startSts } from '../../test/fakes/sts/server.ts'
import { trustPolicy } from '../../test/fakes/sts/trust-policy.ts'

/** The sidecar's users: no entry in /etc/passwd, no home, and in a container no HOME either. */
const SIDECAR_USER = { uid: EXCHANGER.userId, gid: EXCHANGER.userId }
/** As on OpenShift: a uid of the namespace's range, and the group root. */
const OF_A_RANGE = { uid: 1_000_680_000, gid: 0 }

/** Only root may become another user, and that user must be able to reach this Node. */
const isPossible = spawnSync(process.execPath, ['--version'], SIDECAR_USER).status === 0

;(isPossible ? test : test.skip).each([
  ['of the image', SIDECAR_USER],
  ['of a range', OF_A_RANGE],
])('a sidecar works for a user without a home: %s', async (_, user) => {
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
      ...user,
      env: pod.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const closed = once(child, 'close')
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    await closed
    expect(stderr).toBe('')
    expect(parseCredentialDocument(stdout)).toMatchObject({ AccountId: '111122223333' })

    // The whole sidecar, with the modes that the kubelet gives folder and file.
    await chmod(pod.config.credentialsFolder, 0o777)
    await chmod(pod.config.terminationMessageFile, 0o666)
    const start = (word: string): ChildProcess =>
      spawn(process.execPath, [join(folder, 'exchanger.mjs'), word], {
        ...user,
        env: pod.env,
        stdio: 'ignore',
      })
    const resident = start('run')
    const ended = once(resident, 'close')
    for (const word of ['wait', 'ready'])
      expect(await once(start(word), 'close')).toEqual([0, null])
    resident.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    const { uid, mode } = await stat(join(pod.config.credentialsFolder, 'credentials.json'))
    expect({ uid, mode: mode & 0o777 }).toEqual({ uid: user.uid, mode: 0o644 })
  } finally {
    await Promise.all([sts.stop(), issuer.close(), rm(folder, { recursive: true })])
  }
})
