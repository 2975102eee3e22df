/** A session policy narrows what the app may do, by a real S3 that enforces it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadMatrixImages, matrixImage } from '../cluster/matrix-images.ts'
import {
  APP_ENV,
  closeSuite,
  createTeam,
  openSuite,
  podSpec,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'

const OBJECTS = ['s3:PutObject', 's3:GetObject']

let suite: Suite
let team: Team
let other: string

beforeAll(async () => {
  suite = await openSuite('policies')
  await loadMatrixImages(suite.host)
  team = await createTeam(suite, 'team')
  other = `${team.namespace}-other`
  for (const bucket of [team.namespace, other]) {
    await suite.aws.createBucket(bucket)
    await suite.aws.permit(team.namespace, bucket, OBJECTS)
  }
}, 1_800_000)

afterAll(() => closeSuite(suite))

/** What the app said of a put into the other bucket. */
async function otherPut(
  name: string,
  annotations: Readonly<Record<string, string>>,
): Promise<string> {
  const { namespace } = team
  const env = [
    ...APP_ENV,
    { name: 'BUCKET', value: namespace },
    { name: 'OTHER_BUCKET', value: other },
  ]
  const container = { name: 'app', image: matrixImage('javascript'), env }
  const metadata = { name, namespace, annotations }
  const spec = { ...podSpec(container), restartPolicy: 'Never' }
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
  const log = await waitFor(`what ${name} says`, 120_000, async () => {
    const said = await suite.kubectl(['logs', name, '--namespace', namespace, '-c', 'app'])
    return said === '' ? undefined : said
  })
  return (JSON.parse(log) as { readonly refused: string }).refused
}

test('what the role may and the session policy does not is refused', async () => {
  const Resource = `arn:aws:s3:::${team.namespace}/*`
  const Statement = [{ Effect: 'Allow', Action: OBJECTS, Resource }]
  const policy = JSON.stringify({ Version: '2012-10-17', Statement })
  expect(await otherPut('whole', {})).toBe('granted')
  expect(await otherPut('narrowed', { 'nocreds.dev/session-policy': policy })).toBe('AccessDenied')
}, 300_000)
