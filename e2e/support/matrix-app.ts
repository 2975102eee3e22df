import { expect } from '@jest/globals'
import { matrixImage, type MatrixApp } from '../cluster/matrix-images.ts'
import { APP_ENV, createTeam, podSpec, type Suite, type Team } from './suite.ts'
import { waitFor } from './wait.ts'

const OBJECTS = ['s3:PutObject', 's3:GetObject']

interface Pod {
  readonly status: { readonly phase: string }
}

const otherBucket = ({ prefix }: Suite): string => `${prefix}-other`

/** The bucket that no team of the suite may use. */
export async function createOtherBucket(suite: Suite): Promise<void> {
  await suite.aws.createBucket(otherBucket(suite))
}

/** A team with a bucket of its own, the only one that its role may use. */
export async function createMatrixTeam(
  suite: Suite,
  name: string,
  annotations: Readonly<Record<string, string>>,
): Promise<Team> {
  const team = await createTeam(suite, name, { annotations })
  await suite.aws.createBucket(team.namespace)
  await suite.aws.permit(team.namespace, team.namespace, OBJECTS)
  return team
}

/**
 * Runs the app of one SDK as a pod of the team, to its end: it is the team's role, uses its bucket, and is refused at
 * the other one.
 *
 * @returns version of the SDK
 */
export async function expectRole(suite: Suite, app: MatrixApp, team: Team): Promise<string> {
  const said = await run(suite, app, team)
  expect(said).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    arn: team.identity.arn,
    got: 'hello',
    refused: 'AccessDenied',
  })
  return (said as { readonly version: string }).version
}

/** What the app printed, once it has ended well. */
async function run(suite: Suite, app: MatrixApp, { namespace }: Team): Promise<unknown> {
  const { kubectl } = suite
  const env = [
    ...APP_ENV,
    { name: 'AWS_DEFAULT_REGION', value: 'us-east-1' }, // Python's and the CLI's name of it
    { name: 'BUCKET', value: namespace },
    { name: 'OTHER_BUCKET', value: otherBucket(suite) },
  ]
  const container = { name: 'app', image: matrixImage(app), env }
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: app, namespace },
    spec: { ...podSpec(container), restartPolicy: 'Never' },
  })
  const ended = await waitFor(`the end of pod ${app} in ${namespace}`, 300_000, async () => {
    const { status } = await kubectl.get<Pod>(['pod', app, '-n', namespace])
    return ['Succeeded', 'Failed'].includes(status.phase) ? status.phase : undefined
  })
  const log = await kubectl(['logs', app, '-n', namespace, '-c', 'app'])
  if (ended === 'Failed') throw new Error(`${app} failed in ${namespace}:\n${log}`)
  return JSON.parse(log)
}
