import { expect, test } from '@jest/globals'
import { Registry } from '@prometheus-io/client'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import type { LogFields, Logger } from '../../base/log.ts'
import { countRefusals } from './refusals.ts'

test('every refusal is counted, and a flood of them is logged only occasionally', async () => {
  const lines: LogFields[] = []
  const keep = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  const registry = new Registry()
  const clock = new VirtualClock()
  const note = countRefusals(registry, { clock, log })
  for (let n = 0; n < 5000; n += 1) {
    note('admission', 'connections', `10.0.0.${n % 3}`)
    await clock.advance(10)
  }
  note('admission', 'deadline', '10.0.0.9')
  expect(await registry.metrics()).toContain(
    'nocreds_connections_refused_total{server="admission",reason="connections"} 5000',
  )
  // 50 s: one at once, then one each 10 s that says how many there were.
  expect(lines).toEqual([
    { server: 'admission', reason: 'connections', address: '10.0.0.0', connections: 1 },
    ...[1, 2, 3, 4].map(() => expect.objectContaining({ connections: 1000 })),
    { server: 'admission', reason: 'deadline', address: '10.0.0.9', connections: 1 },
  ])
})
