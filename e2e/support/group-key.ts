import { expect } from '@jest/globals'
import { IMAGES } from '../versions.ts'
import type { Member } from './certificates.ts'
import type { Suite } from './suite.ts'

const GROUP = 2000
const KEY = '"$NOCREDS_TLS_DIR/tls.key"'

/** A pod with fsGroup: `reader` runs as another user than root, and `app` as root, so that it can become anyone. */
export async function startGroupPod({ kubectl }: Suite, { namespace }: Member): Promise<void> {
  const container = { image: IMAGES.appJavascript, command: ['sleep', '3600'] }
  const containers = [
    { ...container, name: 'app', securityContext: { runAsUser: 0 } },
    { ...container, name: 'reader' },
  ]
  const securityContext = { fsGroup: GROUP }
  const spec = { serviceAccountName: 'app', terminationGracePeriodSeconds: 1, securityContext }
  const metadata = { name: 'group', namespace }
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, containers } })
  const ready = ['--for=condition=Ready', '--timeout=90s', '--namespace', namespace]
  await kubectl(['wait', 'pod/group', ...ready])
}

/**
 * The group reads the key, and a user outside of it does not, though it reads the certificate.
 *
 * @returns the name of the generation that this was about
 */
export async function expectGroupKey({ kubectl }: Suite, { namespace }: Member): Promise<string> {
  const inside = (container: string, script: string): Promise<string> =>
    kubectl(['exec', 'group', '--namespace', namespace, '-c', container, '--', 'sh', '-c', script])
  const generation = await inside('app', 'readlink "$NOCREDS_TLS_DIR/..data"')
  expect(await inside('app', `stat --dereference --format=%a,%u:%g ${KEY}`)).toBe(`640,0:${GROUP}`)
  expect(await inside('reader', `id -u && head -1 ${KEY}`)).toBe(
    '1000\n-----BEGIN PRIVATE KEY-----',
  )
  const stranger = 'setpriv --reuid=3000 --regid=3000 --clear-groups head -1'
  expect(await inside('app', `${stranger} "$NOCREDS_TLS_DIR/tls.crt"`)).toContain('CERTIFICATE')
  await expect(inside('app', `${stranger} ${KEY}`)).rejects.toThrow('Permission denied')
  return generation
}
