import { describe, expect, test } from '@jest/globals'
import { fillInPod, isDnsName } from './dns-names.ts'
import * as values from './values.ts'

describe('names of certificates', () => {
  test.each([
    ['web.team-a.svc', 'web.team-a.svc'],
    ['{pod}.web.team-a.svc', 'web-0.web.team-a.svc'],
    ['web.{pod}', 'web.{pod}'],
    ['{pod}', '{pod}'],
  ])('%s of the pod web-0 is %s', (name, filledIn) => {
    expect(fillInPod(name, 'web-0')).toBe(filledIn)
  })

  test.each([
    ['{pod}.web.team-a.svc', true],
    ['web.team-a.svc, {pod}.web.team-a.svc', true],
    ['{pod}', false],
    ['a{pod}.web', false],
    ['{pod}a.web', false],
    ['web.{pod}', false],
    ['{pod}.{pod}.web', false],
    ['{pod}..web', false],
    ['{namespace}.web', false],
    ['*.web', false],
  ])('%s may be asked for: %s', (text, may) => {
    expect(values.dnsNames.parse(text) !== undefined).toBe(may)
  })

  test.each(['*.example.com', 'Web', 'web.', '.web', 'a..b', 'web_1', '-a', 'a'.repeat(64)])(
    '%s is no host name',
    (name) => {
      expect(isDnsName(name)).toBe(false)
    },
  )
})
