import { execFileSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { imageEnv } from './image-env.ts'

/** Of V8's version and flags: Node's own code cache is good for one of them only. */
function cacheTag(env: Readonly<Record<string, string>>): number {
  const words = ['--print', 'require("node:v8").cachedDataVersionTag()']
  return Number(execFileSync(process.execPath, words, { env, encoding: 'utf8' }))
}

test('a target of the Dockerfile sets what stands there', () => {
  expect(imageEnv('runtime')).toMatchObject({ NODE_ENV: 'production' })
  expect(imageEnv('webhook')).toEqual({})
  expect(() => imageEnv('nothing')).toThrow('no target nothing')
})

test('what the exchanger`s image sets costs Node none of its code cache', () => {
  const env = imageEnv('exchanger')
  expect(Object.keys(env)).toContain('NODE_OPTIONS')
  expect(cacheTag(env)).toBe(cacheTag({}))
  expect(cacheTag({ NODE_OPTIONS: '--max-semi-space-size=1' })).not.toBe(cacheTag({}))
})
