import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import {
  DELIVERIES,
  DELIVERY_NAMES,
  hasSidecar,
  type Delivery,
} from '../../../contract/delivery.ts'
import {
  AWS_ENV,
  CREDENTIALS_FILES,
  CREDENTIALS_VOLUME,
  EXCHANGER,
  TOKEN_VOLUME,
} from '../../../contract/names.ts'
import type { Pod } from '../pod.ts'

/** The golden of each delivery alone. */
const GOLDEN: Readonly<Record<Delivery, string>> = {
  process: 'plain',
  endpoint: 'endpoint',
  'web-identity': 'web-identity',
}

/** Not of one delivery: whatever the SDK finds, and the region. */
const COMMON: readonly string[] = [
  AWS_ENV.metadataDisabled,
  AWS_ENV.region,
  AWS_ENV.defaultRegion,
  AWS_ENV.stsRegional,
]

function injectedPod(delivery: Delivery): Pod {
  const file = join(import.meta.dirname, '../testdata', `${GOLDEN[delivery]}.want.yaml`)
  const [, pod] = parseAllDocuments(readFileSync(file, 'utf8'))
  return pod?.toJS() as Pod
}

describe.each(DELIVERY_NAMES)('delivery %s is injected as the table says', (delivery) => {
  const row = DELIVERIES[delivery]
  const { spec } = injectedPod(delivery)
  const [app] = spec.containers
  const named = (list: readonly { readonly name: string }[] | null | undefined): string[] =>
    (list ?? []).map(({ name }) => name)

  test('the variables of the app', () => {
    const aws = Object.values<string>(AWS_ENV)
    const names = named(app?.env).filter((name) => aws.includes(name) && !COMMON.includes(name))
    const allowed = row.appEnv.map((key) => AWS_ENV[key])
    expect(names).toEqual(allowed.slice(0, names.length))
    expect(names.length).toBeGreaterThan(0)
  })

  test('files that the app needs and a variable names are on its volume', () => {
    const inFolder = (app?.env ?? [])
      .flatMap(({ value }) => value ?? [])
      .filter((value) => value.startsWith(`${CREDENTIALS_VOLUME.mountPath}/`))
      .map((value) => value.slice(CREDENTIALS_VOLUME.mountPath.length + 1))
      .filter((file) => file !== CREDENTIALS_FILES.noKeys)
    const files: string[] = row.files.map((key) => CREDENTIALS_FILES[key])
    expect(inFolder.filter((file) => !files.includes(file))).toEqual([])
  })

  test('the volume of the app, the volumes of the pod, and the sidecar', () => {
    const names = [TOKEN_VOLUME.name, CREDENTIALS_VOLUME.name] as string[]
    const mounted = row.appMount === 'token' ? TOKEN_VOLUME.name : CREDENTIALS_VOLUME.name
    expect(named(app?.volumeMounts).filter((name) => names.includes(name))).toEqual([mounted])
    const volumes = hasSidecar(delivery) ? names : [TOKEN_VOLUME.name]
    expect(named(spec.volumes).filter((name) => names.includes(name))).toEqual(volumes)
    expect(named(spec.initContainers).includes(EXCHANGER.container)).toBe(hasSidecar(delivery))
  })
})
