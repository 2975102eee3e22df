import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  documentsIn,
  HAS_KUBECTL,
  kustomized,
  ROOT,
  textOf,
  type Manifest,
} from '../../manifests/manifests.test-data.ts'
import { compose, COMPOSED, type Composed } from './compose.ts'

const whereKubectlIs = HAS_KUBECTL ? test : test.skip

describe('compose', () => {
  const files: Readonly<Record<string, string>> = {
    'a/kustomization.yaml': 'kind: Kustomization\nresources: [two.yaml, one.yaml]\n',
    'a/one.yaml': 'kind: One\n\n',
    'a/two.yaml': '# why\nkind: Two',
    'patched/kustomization.yaml': 'resources: [one.yaml]\npatches: []\n',
    'elsewhere/kustomization.yaml': 'resources: [../a]\n',
    'empty/kustomization.yaml': 'kind: Kustomization\n',
  }
  const read = (path: string): string => {
    const text = files[path]
    if (text === undefined) throw new Error(`no ${path}`)
    return text
  }

  const of = (folder: string): Composed => ({ file: 'x.yaml', what: 'x', folders: [folder] })

  test('takes the files as they are, in the order of the list', () => {
    expect(compose(of('a'), read)).toMatch(/^(#.*\n)+---\n# why\nkind: Two\n---\nkind: One\n$/)
  })

  test.each([
    ['patched', 'patched/kustomization.yaml has the field patches'],
    ['elsewhere', 'elsewhere/kustomization.yaml lists "../a"'],
    ['empty', 'empty/kustomization.yaml has no list resources'],
  ])('refuses what it would have to transform: %s', (folder, message) => {
    expect(() => compose(of(folder), read)).toThrow(message)
  })
})

describe.each(COMPOSED)('$file', (composed) => {
  const objects = documentsIn(textOf(composed.file))

  test('is in sync with its folders', () => {
    expect(textOf(composed.file)).toBe(compose(composed, textOf))
  })

  test('creates namespace and settings before what needs them', () => {
    const kinds = objects.map(({ kind }) => kind)
    expect(kinds.slice(0, 2)).toEqual(['Namespace', 'ConfigMap'])
  })

  const identity = ({ kind, metadata }: Manifest): string =>
    `${kind}/${metadata.namespace ?? ''}/${metadata.name}`
  const sorted = (all: readonly Manifest[]): Manifest[] =>
    [...all].sort((one, other) => (identity(one) < identity(other) ? -1 : 1))

  test('has every object once', () => {
    expect(new Set(objects.map(identity)).size).toBe(objects.length)
  })

  whereKubectlIs('holds the objects that kustomize makes', () => {
    expect(sorted(objects)).toEqual(sorted(composed.folders.flatMap(kustomized)))
  })
})

describe('the program', () => {
  let copy = ''
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'nocreds-install-'))
    for (const folder of ['tools/build', 'manifests', 'shared/base', 'package.json']) {
      cpSync(join(ROOT, folder), join(copy, folder), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  })
  afterAll(() => {
    rmSync(copy, { recursive: true })
  })

  const run = (...args: string[]): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(process.execPath, [join(copy, 'tools/build/install.ts'), ...args], {
      encoding: 'utf8',
    })

  test('--check passes, fails with a line that says what to do, and passes after writing', () => {
    expect(run('--check').status).toBe(0)
    writeFileSync(join(copy, 'manifests/install.yaml'), 'kind: Other\n')
    const failed = run('--check')
    expect(failed.status).toBe(1)
    expect(failed.stderr).toContain('manifests/install.yaml is not in sync')
    expect(failed.stderr).toContain('npm run manifests')
    rmSync(join(copy, 'manifests/install.yaml'))
    expect(run('--check').status).toBe(1)
    expect(run().status).toBe(0)
    expect(run('--check').status).toBe(0)
  })

  test.each([[['--verify']], [['--check', 'x']]])('refuses %j with exit code 2', (args) => {
    const { status, stderr } = run(...args)
    expect(status).toBe(2)
    expect(stderr).toContain(args.at(-1))
    expect(stderr).toContain('allowed: --check')
  })
})
