import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Container } from '../pod.ts'
import { placed } from './mesh.ts'

const SIDECAR: Container = { name: 'nocreds-exchanger', restartPolicy: 'Always' }
const PROXIES = ['istio-proxy', 'mine']

/** `name+`: a native sidecar. */
const containers = (text: string): Container[] =>
  text
    .split(' ')
    .filter((one) => one !== '')
    .map((one) =>
      one.endsWith('+') ? { name: one.slice(0, -1), restartPolicy: 'Always' } : { name: one },
    )

describe('the place of the sidecar', () => {
  test.each([
    ['', 'nocreds-exchanger'],
    ['migrate', 'nocreds-exchanger migrate'],
    [
      'istio-validation istio-proxy+ migrate',
      'istio-validation istio-proxy nocreds-exchanger migrate',
    ],
    ['mine+ istio-proxy+', 'mine istio-proxy nocreds-exchanger'],
    ['istio-proxy migrate', 'nocreds-exchanger istio-proxy migrate'],
    ['other+ migrate', 'nocreds-exchanger other migrate'],
    ['nocreds-exchanger+ migrate istio-proxy+', 'migrate istio-proxy nocreds-exchanger'],
    ['istio-proxy+ late nocreds-exchanger+', 'istio-proxy late nocreds-exchanger'],
    ['late nocreds-exchanger+', 'late nocreds-exchanger'],
  ])('%j becomes %j', (before, after) => {
    expect(
      placed(containers(before), SIDECAR, PROXIES)
        ?.map(({ name }) => name)
        .join(' '),
    ).toBe(after)
  })

  test('is found again, the others keep their order, and it is behind each proxy', () => {
    const others = fc.shuffledSubarray(containers('a b istio-proxy+ mine+ c+'))
    fc.assert(
      fc.property(others, fc.option(fc.nat(5)), (list, at) => {
        const before = at === null ? list : list.toSpliced(at, 0, SIDECAR)
        const once = placed(before, SIDECAR, PROXIES)!
        expect(placed(once, SIDECAR, PROXIES)).toBe(once)
        expect(once.filter((one) => one !== SIDECAR)).toEqual(list)
        const place = once.indexOf(SIDECAR)
        expect(place).toBeGreaterThanOrEqual(0)
        for (const proxy of once.filter(({ name }) => PROXIES.includes(name))) {
          expect(once.indexOf(proxy)).toBeLessThan(place)
        }
      }),
    )
  })
})
