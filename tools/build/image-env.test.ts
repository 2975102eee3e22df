import { execFileSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { imageEnv } from './image-env.ts'

/** Of V8's version and flags: Node's own code cache is good for one of them only. */
function cacheTag(env: Readonly<Record<string, string>>): number {
  const words = ['--print', 'require("node:v8").cachedDataVersionTag()']
  return Number(execFileSync(process.execPath, words, { env, encoding: 'utf8' }))
}

test('a target of the Dockerfile sets the variables of its ENV lines', () => {
  expect(imageEnv('runtime')).toMatchObject({ NODE_ENV: 'production' })
  expect(imageEnv('webhook')).toEqual({})
  expect(() => imageEnv('nothing')).toThrow('no target nothing')
})

test('what the exchanger`s image sets does not disable the code cache of Node', () => {
  const env = imageEnv('exchanger')
  expect(Object.keys(env)).toContain('NODE_OPTIONS')
  expect(cacheTag(env)).toBe(cacheTag({}))
  expect(cacheTag({ NODE_OPTIONS: '--max-semi-space-size=1' })).not.toBe(cacheTag({}))
})
