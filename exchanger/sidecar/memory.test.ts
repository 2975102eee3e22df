import { setImmediate } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { releaseMemory } from './memory.ts'

const makeGarbage = (): WeakRef<object> => new WeakRef({ text: 'x'.repeat(1000) })

test('garbage is collected, again and again', async () => {
  for (let round = 0; round < 3; round += 1) {
    const garbage = makeGarbage()
    await setImmediate() // until then a WeakRef holds what it was made for
    releaseMemory()
    expect(garbage.deref()).toBeUndefined()
  }
})
