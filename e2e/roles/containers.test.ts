/** A role for each container: by files, by the endpoint, and what one container finds of another. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ACCOUNT } from '../cluster/aws.ts'
import { loadMatrixImages, matrixImage } from '../cluster/matrix-images.ts'
import {
  APP_ENV,
  closeSuite,
  createTeam,
  identityOf,
  openSuite,
  podSpec,
  whoAmIThenStay,
  type Suite,
  type Team,
} from '../support/suite.ts'
import { waitFor } from '../support/wait.ts'
import { IMAGES } from '../versions.ts'

const LETTERS = ['a', 'b', 'c'] as const
type Letter = (typeof LETTERS)[number]

let suite: Suite
let team: Team

beforeAll(async () => {
  suite = await openSuite('containers')
  await loadMatrixImages(suite.host)
  team = await createTeam(suite, 'team')
  const { namespace } = team
  await suite.aws.createBucket(namespace)
  await suite.aws.createBucket(`${suite.prefix}-other`)
  for (const letter of LETTERS) {
    await suite.aws.createRole(`${namespace}-${letter}`, `${namespace}:app`)
    await suite.aws.permit(`${namespace}-${letter}`, namespace, ['s3:PutObject', 's3:GetObject'])
  }
  // Only what the annotation of a pod names.
  await suite.kubectl([
    ...['annotate', 'serviceaccount', 'app', '--namespace', namespace, 'nocreds.dev/role-arn-'],
  ])
}, 1_800_000)

afterAll(() => closeSuite(suite))

const roleOf = (letter: Letter): string =>
  `arn:aws:iam::${ACCOUNT}:role/${team.namespace}-${letter}`
const identityBy = (letter: Letter): object => ({
  account: ACCOUNT,
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${team.namespace}-${letter}/${team.namespace}.app`,
})

async function apply(
  name: string,
  roles: Readonly<Record<string, Letter>>,
  { containers, annotations = {} }: { containers: readonly object[]; annotations?: object },
): Promise<void> {
  const pairs = Object.entries(roles).map(([container, letter]) => `${container}=${roleOf(letter)}`)
  const metadata = {
    name,
    namespace: team.namespace,
    annotations: { 'nocreds.dev/container-roles': pairs.join('\n'), ...annotations },
  }
  const spec = podSpec(...containers)
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

const inside = (pod: string, container: string, script: string): Promise<string> =>
  suite.kubectl([
    ...['exec', pod, '--namespace', team.namespace, '--container', container, '--'],
    ...['sh', '-c', script],
  ])

const bystander = { name: 'three', image: IMAGES.appJavascript, command: ['sleep', '3600'] }
const KEY_ID = `node -p 'JSON.parse(fs.readFileSync("/var/run/secrets/nocreds.dev/aws/credentials.json","utf8")).AccessKeyId'`

describe('by files', () => {
  beforeAll(async () => {
    const containers = [whoAmIThenStay('one'), whoAmIThenStay('two'), bystander]
    await apply('files', { one: 'a', two: 'b' }, { containers })
  }, 60_000)

  test('two containers are two roles, and the third is none', async () => {
    expect(await identityOf(suite, team, 'files', 'one')).toEqual(identityBy('a'))
    expect(await identityOf(suite, team, 'files', 'two')).toEqual(identityBy('b'))
    expect(await inside('files', 'three', 'env')).not.toMatch(/^AWS_/m)
    expect(await inside('files', 'three', 'ls /var/run/secrets')).not.toContain('nocreds')
  }, 180_000)

  test('a container finds the credentials of its own role, and no others', async () => {
    const found = await inside(
      'files',
      'one',
      'find / -name credentials.json -not -path "/proc/*" 2>/dev/null || true',
    )
    expect(found).toBe('/run/secrets/nocreds.dev/aws/credentials.json') // /var/run is a link
    const ids = [await inside('files', 'one', KEY_ID), await inside('files', 'two', KEY_ID)]
    expect(new Set(ids).size).toBe(2)
  }, 60_000)
})

describe('by the endpoint', () => {
  const SDKS = { javascript: 'a', python: 'b', go: 'c' } as const

  test('SDKs of three languages in one pod are three roles', async () => {
    const env = [
      ...APP_ENV,
      { name: 'AWS_DEFAULT_REGION', value: 'us-east-1' },
      { name: 'BUCKET', value: team.namespace },
      { name: 'OTHER_BUCKET', value: `${suite.prefix}-other` },
    ]
    const securityContext = { capabilities: { drop: ['ALL'] } }
    const containers = Object.keys(SDKS).map((sdk) => ({
      name: sdk,
      image: matrixImage(sdk as keyof typeof SDKS),
      env,
      securityContext,
    }))
    const annotations = { 'nocreds.dev/delivery': 'endpoint' }
    await apply('sdks', SDKS, { containers, annotations })
    for (const [sdk, letter] of Object.entries(SDKS)) {
      const said = await waitFor(`what ${sdk} says`, 180_000, async () => {
        const logs = ['logs', 'sdks', '--namespace', team.namespace, '--container', sdk]
        const log = await suite.kubectl(logs)
        return log === '' ? undefined : (JSON.parse(log.split('\n')[0] ?? '') as object)
      })
      expect(said).toMatchObject({ arn: (identityBy(letter) as { arn: string }).arn, got: 'hello' })
    }
  }, 300_000)

  test("a container's authorization gets nothing at the path of another role", async () => {
    const containers = [whoAmIThenStay('one'), whoAmIThenStay('two')]
    const annotations = { 'nocreds.dev/delivery': 'endpoint' }
    await apply('paths', { one: 'a', two: 'b' }, { containers, annotations })
    expect(await identityOf(suite, team, 'paths', 'one')).toEqual(identityBy('a'))
    expect(await identityOf(suite, team, 'paths', 'two')).toEqual(identityBy('b'))
    const statusAt = (path: string): Promise<string> =>
      inside(
        'paths',
        'one',
        `node -e 'fetch("http://127.0.0.1:9911${path}",{headers:{authorization:fs.readFileSync(process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,"utf8")}}).then(({status})=>console.log(status))'`,
      )
    expect(await statusAt('/v1/credentials')).toBe('200')
    expect(await statusAt('/v1/credentials/1')).toBe('401')
    expect(await statusAt('/v1/credentials/2')).toBe('404')
  }, 180_000)
})

describe('is denied', () => {
  const both = { containers: [whoAmIThenStay('one'), whoAmIThenStay('two')] }

  test('a container that the pod does not have', async () => {
    await expect(apply('denied', { four: 'a' }, both)).rejects.toThrow(/four/)
  })

  test('a role that the Namespace does not permit', async () => {
    const annotations = {
      'nocreds.dev/container-roles': `one=${roleOf('a')} two=arn:aws:iam::${ACCOUNT}:role/admin`,
    }
    await expect(apply('denied', {}, { ...both, annotations })).rejects.toThrow(/role\/admin/)
  })

  test('a volume of another role by hand', async () => {
    const volumeMounts = [{ name: 'nocreds-credentials-1', mountPath: '/stolen', readOnly: true }]
    const containers = [{ ...whoAmIThenStay('one'), volumeMounts }, whoAmIThenStay('two')]
    await expect(apply('denied', { one: 'a', two: 'b' }, { containers })).rejects.toThrow(/nocreds/)
  })
})
