import { describe, expect, test } from '@jest/globals'
import { defaultRegionOf, parseRoleArn, partitionOf } from './role-arn.ts'
import * as values from './values.ts'

const ROLE = 'arn:aws:iam::111122223333:role/app'

describe('role ARN', () => {
  test.each([
    [ROLE, 'aws', '/', 'app'],
    ['arn:aws-cn:iam::111122223333:role/team/x/app', 'aws-cn', '/team/x/', 'app'],
    ['arn:aws-us-gov:iam::111122223333:role/app', 'aws-us-gov', '/', 'app'],
    ['arn:aws-iso-b:iam::111122223333:role/app', 'aws-iso-b', '/', 'app'],
    ['arn:aws-eusc:iam::111122223333:role/a+=,.@-b', 'aws-eusc', '/', 'a+=,.@-b'],
  ])('%s', (arn, partition, path, name) => {
    expect(parseRoleArn(arn)).toEqual({ arn, partition, accountId: '111122223333', path, name })
  })

  test.each([
    '',
    'app',
    'arn:aws:iam::1111:role/app',
    'arn:aws:iam::111122223333:user/app',
    'arn:aws:iam::111122223333:role/',
    'arn:aws:iam::111122223333:role/a b',
    'arn:azure:iam::111122223333:role/app',
    `${ROLE}\n`,
    `arn:aws:iam::111122223333:role/${'a'.repeat(65)}`,
    `arn:aws:iam::111122223333:role/${'a/'.repeat(300)}app`,
  ])('refuses %j', (arn) => {
    expect(parseRoleArn(arn)).toBeUndefined()
  })

  test.each([
    ['eu-central-1', 'aws'],
    ['cn-north-1', 'aws-cn'],
    ['us-gov-west-1', 'aws-us-gov'],
    ['us-iso-east-1', 'aws-iso'],
    ['us-isob-east-1', 'aws-iso-b'],
    ['eu-isoe-west-1', 'aws-iso-e'],
    ['us-isof-south-1', 'aws-iso-f'],
    ['eusc-de-east-1', 'aws-eusc'],
    ['nl-ams', 'aws'],
  ])('%s is in partition %s, which is that of its roles', (region, partition) => {
    expect(partitionOf(region)).toBe(partition)
    const role = parseRoleArn(`arn:${partition}:iam::111122223333:role/app`)!
    expect(partitionOf(defaultRegionOf(role))).toBe(partition)
    expect(values.region.parse(region)).toBe(region)
    expect(values.region.parse(defaultRegionOf(role))).toBeDefined()
  })

  test.each([
    'aws-global',
    'aws-cn-global',
    'aws-us-gov-global',
    'aws-iso-global',
    'fips-us-east-1',
    'us-east-1-fips',
    'fips-aws-global',
    'dualstack-us-east-1',
    's3-external-1',
    'us-east-1a',
    'us-west-2-lax-1a',
    'us-east-1.amazonaws.com',
    'US-EAST-1',
    '',
  ])('%j is no region', (region) => {
    expect(values.region.parse(region)).toBeUndefined()
  })

  test('the default region of STS is in the partition of the role', () => {
    expect(defaultRegionOf(parseRoleArn('arn:aws-cn:iam::111122223333:role/app')!)).toBe(
      'cn-north-1',
    )
  })
})
