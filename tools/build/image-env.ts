import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What a target of the Dockerfile sets for every process of its image.
 *
 * @throws Error if there is no such target
 */
export function imageEnv(target: string): Record<string, string> {
  const dockerfile = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8')
  const [, stage] = dockerfile.split(new RegExp(`^FROM .* AS ${target}$`, 'm'))
  if (stage === undefined) throw new Error(`the Dockerfile has no target ${target}`)
  const [own = ''] = stage.split(/^FROM /m)
  const lines = own.match(/^ENV .*$/gm) ?? []
  const settings = lines.join(' ').matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g)
  return Object.fromEntries(
    [...settings].map(([, name = '', quoted, bare = '']): [string, string] => [
      name,
      quoted ?? bare,
    ]),
  )
}
