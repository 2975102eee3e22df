import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { exists } from '../airgap/cache.ts'
import { waitFor } from '../support/wait.ts'
import { REPOSITORY } from '../versions.ts'

/** Docker and kind, as far as a run uses them before it is interrupted; the cluster is a file. */
const DOCKER = `#!/bin/sh
echo "docker $*" >>"$STUB_LOG"
case "$1" in
  version) echo 28.0.0 ;;
  ps) if [ -e "$STUB_CLUSTER" ]; then echo 0123456789ab; fi ;;
  create) echo ba9876543210 ;;
  rm) rm -f "$STUB_CLUSTER" ;;
esac
`
const KIND = `#!/bin/sh
if [ "$1" = version ]; then echo 'kind v0.33.0 go1.26 linux/amd64'; exit; fi
touch "$STUB_CLUSTER"
exec sleep 60
`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-interrupted-'))
  for (const [name, script] of Object.entries({ docker: DOCKER, kind: KIND })) {
    await writeFile(join(folder, name), script)
    await chmod(join(folder, name), 0o755)
  }
  await mkdir(join(folder, 'cache', 'something'), { recursive: true })
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function start(script: string): ReturnType<typeof spawn> {
  return spawn(process.execPath, [join(REPOSITORY, 'e2e', script)], {
    stdio: 'ignore',
    env: {
      PATH: `${folder}:/usr/bin:/bin`,
      NOCREDS_E2E_CACHE: join(folder, 'cache'),
      STUB_LOG: join(folder, 'log'),
      STUB_CLUSTER: join(folder, 'cluster'),
    },
  })
}

test.each(['run.ts', 'up.ts'])(
  '%s interrupted while kind is at it: half a cluster does not stay',
  async (script) => {
    const running = start(script)
    const ended = once(running, 'exit')
    await waitFor('kind to begin', 30_000, async () =>
      (await exists(join(folder, 'cluster'))) ? true : undefined,
    )
    running.kill('SIGTERM')
    expect(await ended).toEqual([1, null])
    expect(await exists(join(folder, 'cluster'))).toBe(false)
    const log = await readFile(join(folder, 'log'), 'utf8')
    expect(log).toContain('docker rm --force --volumes 0123456789ab')
    expect(log).not.toContain('docker build')
  },
)
