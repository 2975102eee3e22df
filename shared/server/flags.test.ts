import { describe, expect, test } from '@jest/globals'
import { oneOf } from '../../contract/values.ts'
import { flag, readFlags, text } from './flags.ts'

const FLAGS = {
  colour: flag(oneOf('red', 'blue'), { default: 'red', help: 'colour' }),
  name: flag(text, { help: 'name' }),
  image: flag(text, { required: true, help: 'image' }),
} as const

describe('a flag that a manifest fills from a ConfigMap', () => {
  test.each(['', '$(COLOUR)', '$(NO_SUCH_KEY)'])('%j counts as none', (given) => {
    const read = readFlags(FLAGS, ['--image=i', `--colour=${given}`, `--name=${given}`])
    expect(read).toEqual({ image: 'i', colour: 'red', name: undefined })
  })

  test.each(['$(colour)', '$(A)x', ' $(A)', '$(A) $(B)', '$$(A)'])('%j is a value', (given) => {
    expect(readFlags(FLAGS, ['--image=i', `--name=${given}`])).toMatchObject({ name: given })
    expect(() => readFlags(FLAGS, ['--image=i', `--colour=${given}`])).toThrow(
      expect.objectContaining({ code: 'ERR_USAGE' }),
    )
  })

  test.each([['--image='], []])('a required one must be present: %j', (...argv) => {
    expect(() => readFlags(FLAGS, argv)).toThrow(
      expect.objectContaining({
        code: 'ERR_USAGE',
        message: expect.stringContaining('--image is'),
      }),
    )
  })
})
