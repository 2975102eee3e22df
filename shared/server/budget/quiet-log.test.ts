import { expect, test } from '@jest/globals'
import { VirtualClock } from '../../../test/fakes/virtual-clock.ts'
import type { LogFields, Logger } from '../../base/log.ts'
import { quietLog } from './quiet-log.ts'

test('writes some lines a second, and says how many were suppressed', async () => {
  const lines: LogFields[] = []
  const keep = (fields: LogFields): void => {
    lines.push(fields)
  }
  const log: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  const clock = new VirtualClock()
  const quiet = quietLog(log, clock)
  for (let n = 0; n < 1000; n += 1) quiet.warn({ n }, 'refused')
  expect(lines).toHaveLength(50)
  expect(lines.at(-1)).toEqual({ n: 49 })
  await clock.advance(1000)
  for (let n = 1000; n < 1100; n += 1) quiet.warn({ n }, 'refused')
  expect(lines).toHaveLength(60)
  expect(lines[50]).toEqual({ n: 1000, suppressed: 950 })
  expect(lines[51]).toEqual({ n: 1001 })
})
