import { describe, expect, test } from '@jest/globals'
import { CONFIG } from '../test/fakes/exchanger-samples.ts'
import { conflictOf, slotsOf } from './container-roles.ts'
import { credentialsFromEnv, envOfRole, sidecarFromEnv, toEnv } from './exchanger-env.ts'

const FIRST = 'arn:aws:iam::111122223333:role/app'
const [SECOND, THIRD] = [`${FIRST}-2`, `${FIRST}-3`]
const ROLES = { roleArn: FIRST, containerRoleArns: [SECOND, THIRD], targetRoleArn: undefined }

describe('slots', () => {
  test('of one role: volume, folder and path of a pod that has no others', () => {
    const alone = { ...ROLES, containerRoleArns: undefined }
    expect(slotsOf(alone)).toEqual([
      {
        slot: {
          volume: 'nocreds-credentials',
          folder: '/var/run/secrets/nocreds.dev/aws',
          endpointPath: '/v1/credentials',
        },
        wanted: alone,
      },
    ])
  })

  test('of several: each is as if its role were the only one, and has a place of its own', () => {
    const slots = slotsOf(ROLES, '/aws')
    expect(slots.map(({ wanted }) => wanted)).toEqual(
      [FIRST, SECOND, THIRD].map((roleArn) => ({
        ...ROLES,
        roleArn,
        containerRoleArns: undefined,
      })),
    )
    expect(slots[2]?.slot).toEqual({
      volume: 'nocreds-credentials-2',
      folder: '/aws-2',
      endpointPath: '/v1/credentials/2',
    })
    for (const key of ['volume', 'folder', 'endpointPath'] as const)
      expect(new Set(slots.map(({ slot }) => slot[key])).size).toBe(3)
  })
})

describe('the env of an exchanger', () => {
  const env = Object.fromEntries(
    toEnv({ ...CONFIG, ...ROLES }).map(({ name, value = CONFIG.pod }) => [name, value]),
  )

  test('of one role knows no other one', () => {
    const ofRole = envOfRole(env, THIRD)
    expect(credentialsFromEnv(ofRole)).toEqual({
      ...CONFIG,
      roleArn: THIRD,
      containerRoleArns: undefined,
    })
    expect(Object.values(ofRole).join()).not.toContain(SECOND)
  })

  test.each([
    ['a target role', { NOCREDS_TARGET_ROLE_ARN: THIRD }, 'NOCREDS_TARGET_ROLE_ARN are both set'],
    ['a role twice', { NOCREDS_ROLE_ARN: THIRD }, 'is also variable NOCREDS_ROLE_ARN'],
  ])('is refused with %s beside the roles of containers', (_what, more, text) => {
    expect(sidecarFromEnv(env).credentials?.containerRoleArns).toEqual([SECOND, THIRD])
    expect(() => sidecarFromEnv({ ...env, ...more })).toThrow(
      expect.objectContaining({
        code: 'ERR_ENV_CONFLICT',
        message: expect.stringMatching(`^variable NOCREDS_CONTAINER_ROLE_ARNS .*${text}`),
      }),
    )
  })
})

test('a pod with one role may have a target role', () => {
  const names = { roleArn: 'a', containerRoleArns: 'b', targetRoleArn: 'c' }
  const alone = { ...ROLES, containerRoleArns: undefined, targetRoleArn: SECOND }
  expect(conflictOf(alone, names)).toBeUndefined()
})
