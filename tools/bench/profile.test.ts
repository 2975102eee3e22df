import { expect, test } from '@jest/globals'
import { selfTimes } from './profile.ts'

test('self times are summed by function over the last part, without waiting', () => {
  const frame = (functionName: string, url = ''): { functionName: string; url: string } => ({
    functionName,
    url,
  })
  const nodes = [
    { id: 1, callFrame: frame('(idle)') },
    { id: 2, callFrame: frame('answer', 'file:///webhook.mjs') },
    { id: 3, callFrame: frame('emit', 'node:events') },
    { id: 4, callFrame: frame('answer', 'file:///webhook.mjs') }, // called from elsewhere
    { id: 5, callFrame: frame('start') },
  ]
  const samples = [5, 2, 1, 3, 4, 2]
  const timeDeltas = [1000, 1000, 300, 100, 400, 200]
  expect(selfTimes({ nodes, samples, timeDeltas }, { lastMs: 1, reviews: 10 })).toEqual([
    { name: 'answer', us: 60 },
    { name: 'emit (node:events)', us: 10 },
  ])
})
