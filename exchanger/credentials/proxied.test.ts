import { expect, test } from '@jest/globals'
import { isProxied } from './proxied.ts'

test.each<[string, string | undefined, boolean]>([
  ['sts.eu-central-1.amazonaws.com', undefined, true],
  ['sts.eu-central-1.amazonaws.com', '', true],
  ['sts.eu-central-1.amazonaws.com', 'amazonaws.com', false],
  ['sts.eu-central-1.amazonaws.com', '.eu-central-1.amazonaws.com', false],
  ['sts.eu-central-1.amazonaws.com', '*.amazonaws.com', false],
  ['sts.eu-central-1.amazonaws.com', 'sts.eu-central-1.amazonaws.com', false],
  ['sts.eu-central-1.amazonaws.com', 'sts.eu-central-1.amazonaws.com:443', false],
  ['sts.eu-central-1.amazonaws.com', 'sts.eu-central-1.amazonaws.com:8443', true],
  ['sts.eu-central-1.amazonaws.com', 'sts.us-east-1.amazonaws.com, other', true],
  ['evilamazonaws.com', 'amazonaws.com', true],
  ['amazonaws.com', '.amazonaws.com', true],
  ['amazonaws.com.evil.example', 'amazonaws.com', true],
  ['sts.example:8443', 'sts.example:8443', false],
  ['sts.example:8443', 'sts.example', false],
  ['STS.Example', 'sts.example', false],
  ['10.1.2.3', '10.0.0.0/8', false],
  ['11.1.2.3', '10.0.0.0/8', true],
  ['10.1.2.3', '10.1.2.3', false],
  ['10.1.2.30', '10.1.2.3', true],
  ['[fd00::1]', 'fd00::/8', false],
  ['[fd00::1]', '[fd00:0::1]', false],
  ['[fd00::1]', '10.0.0.0/8', true],
  ['sts.example', '0.0.0.0/0', true],
])('%s with the exceptions %j', (host, exceptions, is) => {
  expect(isProxied(new URL(`https://${host}`), exceptions)).toBe(is)
})
