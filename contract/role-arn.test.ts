import { describe, expect, test } from '@jest/globals'
import {
  defaultRegionOf,
  isRoleBase,
  isRoleName,
  parseRoleArn,
  partitionOf,
  roleBelow,
} from './role-arn.ts'
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

  test.each([
    ['app', 'app'],
    ['team-a/app', 'team-a/app'],
    ['/team-a/app', 'team-a/app'],
    ['a+=,.@-_b', 'a+=,.@-_b'],
  ])('%j is a name of a role', (text, below) => {
    expect(isRoleName(text)).toBe(true)
    expect(values.roleOrName.parse(text)).toBe(text)
    const base = 'arn:aws:iam::111122223333:role/x/'
    expect(roleBelow(base, text)?.arn).toBe(base + below)
  })

  test.each(['', '/', 'app/', 'a b', 'arm:aws:iam::111122223333:role/app', 'a'.repeat(65)])(
    '%j is none',
    (text) => {
      expect(isRoleName(text)).toBe(false)
      expect(values.roleOrName.parse(text)).toBeUndefined()
    },
  )

  test('what stands before names is checked, and so is what both become', () => {
    expect(isRoleBase('arn:aws:iam::111122223333:role/')).toBe(true)
    expect(isRoleBase('arn:aws-cn:iam::111122223333:role/team-a/')).toBe(true)
    for (const text of ['', 'role/', 'arn:aws:iam::111122223333:role', 'arn:aws:iam::1:role/'])
      expect(isRoleBase(text)).toBe(false)
    const long = `arn:aws:iam::111122223333:role/${'p'.repeat(500)}/`
    expect(isRoleBase(long)).toBe(true)
    expect(roleBelow(long, 'team-a/teams/app')).toBeUndefined()
  })

  test('the default region of STS is in the partition of the role', () => {
    expect(defaultRegionOf(parseRoleArn('arn:aws-cn:iam::111122223333:role/app')!)).toBe(
      'cn-north-1',
    )
  })
})
