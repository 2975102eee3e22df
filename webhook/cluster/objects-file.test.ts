import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readObjects } from './objects-file.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-objects-'))
})

afterEach(() => rm(folder, { recursive: true }))

async function file(content: string, name = 'objects.yaml'): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

const NAMESPACE = `
apiVersion: v1
kind: Namespace
metadata:
  name: team-a
  annotations:
    nocreds.dev/permitted-roles: 'arn:.*'
    example.com/other: 'dropped'
`
const ACCOUNT = `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app
  namespace: team-a
  annotations:
    nocreds.dev/role-arn: arn:aws:iam::111122223333:role/app
`

describe('objects', () => {
  test('of several documents, with annotations of nocreds only', async () => {
    const reader = await readObjects(await file(`---${NAMESPACE}---${ACCOUNT}---\n`))
    expect(reader.ready).toBe(true)
    expect(await reader.namespace('team-a')).toEqual({
      annotations: { 'nocreds.dev/permitted-roles': 'arn:.*' },
    })
    expect(await reader.serviceAccount('team-a', 'app')).toEqual({
      annotations: { 'nocreds.dev/role-arn': 'arn:aws:iam::111122223333:role/app' },
    })
    expect(reader.counts()).toEqual({ ServiceAccount: 2, Namespace: 1 }) // app and default
  })

  test('each Namespace has a ServiceAccount default; other names do not exist', async () => {
    const reader = await readObjects(await file(`${NAMESPACE}---${ACCOUNT}`))
    expect(await reader.serviceAccount('team-a', 'default')).toEqual({ annotations: {} })
    expect(await reader.serviceAccount('team-a', 'other')).toBeUndefined()
    expect(await reader.serviceAccount('team-b', 'default')).toBeUndefined()
    expect(await reader.namespace('team-b')).toBeUndefined()
  })

  test('a ServiceAccount without namespace is in default', async () => {
    const reader = await readObjects(await file(ACCOUNT.replace('  namespace: team-a\n', '')))
    expect(await reader.serviceAccount('default', 'app')).toMatchObject({
      annotations: { 'nocreds.dev/role-arn': expect.any(String) },
    })
    expect(await reader.namespace('default')).toBeUndefined() // it is named, not defined
  })

  test('of a List, as kubectl get -o yaml prints it', async () => {
    const items = [NAMESPACE, ACCOUNT].map((one) =>
      one.trim().replaceAll('\n', '\n    ').replace(/^/, '  - '),
    )
    const reader = await readObjects(
      await file(`apiVersion: v1\nkind: List\nitems:\n${items.join('\n')}\n`),
    )
    expect(reader.counts()).toEqual({ ServiceAccount: 2, Namespace: 1 })
  })

  test('of all YAML files of a folder, and nothing else in it', async () => {
    await file(NAMESPACE, 'a.yaml')
    await file(ACCOUNT, 'b.yml')
    await file('no objects at all', 'README.md')
    await mkdir(join(folder, 'sub'))
    const reader = await readObjects(folder)
    expect(reader.counts()).toEqual({ ServiceAccount: 2, Namespace: 1 })
  })

  test('null annotations count as absent', async () => {
    const reader = await readObjects(
      await file('{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: null}}'),
    )
    expect(await reader.namespace('a')).toEqual({ annotations: {} })
  })
})

/** Names doubled ten times: what an alias bomb is made of. */
const BOMB = `a: &a [x,x]\n${Array.from({ length: 10 }, (_, n) => {
  const [of, from] = [String.fromCharCode(98 + n), String.fromCharCode(97 + n)]
  return `${of}: &${of} [*${from},*${from},*${from},*${from},*${from},*${from},*${from},*${from}]`
}).join('\n')}\n`

describe('bad input is a UsageError that names the file, the document and what is allowed', () => {
  test.each([
    ['no YAML', `${NAMESPACE}---\nkind: [`, 'document 2: not YAML'],
    ['an alias bomb', BOMB, 'document 1: not YAML'],
    [
      'another kind',
      `${NAMESPACE}---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}`,
      'document 2: kind',
    ],
    ['another apiVersion', NAMESPACE.replace('v1', 'v2'), 'document 1: apiVersion'],
    ['no metadata', '{apiVersion: v1, kind: Namespace}', 'metadata'],
    ['no name', '{apiVersion: v1, kind: Namespace, metadata: {}}', 'metadata.name'],
    ['an empty name', '{apiVersion: v1, kind: Namespace, metadata: {name: ""}}', 'metadata.name'],
    ['a scalar', 'hello', 'document 1: it'],
    [
      'an annotation that is no text',
      NAMESPACE.replace("'arn:.*'", 'true'),
      'metadata.annotations.nocreds.dev/permitted-roles',
    ],
  ])('%s', async (_what, content, named) => {
    const path = await file(content)
    const refused = readObjects(path)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_USAGE' })
    await expect(refused).rejects.toThrow(path)
    await expect(refused).rejects.toThrow(named)
  })

  test('another kind is refused, with what is allowed', async () => {
    const path = await file('{apiVersion: v1, kind: Pod, metadata: {name: a}}')
    await expect(readObjects(path)).rejects.toThrow('Namespaces and ServiceAccounts')
  })

  test('the same object twice, in one file or in two', async () => {
    await expect(readObjects(await file(`${ACCOUNT}---${ACCOUNT}`))).rejects.toThrow(
      /document 2: ServiceAccount team-a\/app .*twice/,
    )
    await file(NAMESPACE, 'a.yaml')
    await file(NAMESPACE, 'b.yaml')
    await rm(join(folder, 'objects.yaml'))
    await expect(readObjects(folder)).rejects.toThrow(/b\.yaml.* Namespace team-a .*twice/)
  })

  test('a path that does not exist', async () => {
    const refused = readObjects(join(folder, 'missing.yaml'))
    await expect(refused).rejects.toMatchObject({ code: 'ERR_USAGE' })
    await expect(refused).rejects.toThrow(/missing\.yaml cannot be read: ENOENT/)
  })

  test('a folder without YAML', async () => {
    await expect(readObjects(folder)).rejects.toThrow(/no \*\.yaml or \*\.yml/)
  })
})
