import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SidecarError, formatFailure, parseFailure } from './failure.ts'

describe('a failure on its way to the sidecar', () => {
  test('is one line, and is parsed unchanged', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('token', 'transient', 'refused'),
        fc.string(),
        fc.string(),
        fc.option(fc.string(), { nil: undefined }),
        (failureClass, code, message, hint) => {
          const line = formatFailure(new SidecarError(failureClass, code, message, hint))
          expect(line).not.toContain('\n')
          expect(parseFailure(`a warning of Node\n${line}\n`)).toMatchObject({
            failureClass,
            code,
            message,
            hint,
          })
        },
      ),
    )
  })

  test.each(['', 'Segmentation fault', '{}', 'null', '{"code":"A","class":"other","message":"m"}'])(
    '%j is none',
    (text) => {
      expect(parseFailure(text)).toBeUndefined()
    },
  )
})
