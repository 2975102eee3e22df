import { describe, expect, test } from '@jest/globals'
import * as kubernetes from '@kubernetes/client-node'
import {
  DRIVER_FILES,
  FILES,
  HAS_KUBECTL,
  kustomized,
  textOf,
  documentsIn,
} from './manifests.test-data.ts'

/**
 * Checks objects against Kubernetes' OpenAPI description, in the form of the models that the client is
 * generated with: unknown fields and values of the wrong type, at any depth.
 */
interface Attribute {
  readonly baseName: string
  readonly type: string
}
const MODELS = kubernetes as unknown as Readonly<
  Record<string, { getAttributeTypeMap?: () => readonly Attribute[] } | undefined>
>

/** Every departure of a value from a type of the models, each with its path. */
function departures(value: unknown, type: string, path: string): string[] {
  const wrong = [`${path} is ${JSON.stringify(value)}; allowed: ${type}`]
  const element = /^Array<(.*)>$/.exec(type)?.[1]
  if (element !== undefined) {
    if (!Array.isArray(value)) return wrong
    return value.flatMap((one, index) => departures(one, element, `${path}[${index}]`))
  }
  const scalar = SCALARS[type]
  if (scalar !== undefined) return scalar(value) ? [] : wrong
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? departuresOfFields(value, type, path) : wrong
}

function departuresOfFields(value: object, type: string, path: string): string[] {
  const ofMap = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1]
  const attributes = MODELS[type]?.getAttributeTypeMap?.()
  if (ofMap === undefined && attributes === undefined) return [`${path}: no model ${type}`]
  return Object.entries(value).flatMap(([key, inner]) => {
    const of = ofMap ?? attributes?.find(({ baseName }) => baseName === key)?.type
    if (of === undefined) return [`${path}.${key} is not a field of ${type}`]
    return departures(inner, of, `${path}.${key}`)
  })
}

const isString = (value: unknown): boolean => typeof value === 'string'
const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: isString,
  number: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  IntOrString: (value) => isString(value) || Number.isInteger(value),
}

/** Kinds whose schema is not Kubernetes' own. */
const FOREIGN = [
  'cert-manager.io/v1',
  'monitoring.coreos.com/v1',
  'kustomize.config.k8s.io/v1beta1',
  'kustomize.config.k8s.io/v1alpha1',
]

function departuresOf(text: string): string[] {
  return documentsIn(text)
    .filter(({ apiVersion }) => !FOREIGN.includes(apiVersion))
    .flatMap((object) => {
      const version = object.apiVersion.split('/').at(-1) ?? ''
      const model = `${version.charAt(0).toUpperCase()}${version.slice(1)}${object.kind}`
      return departures(object, model, `${object.kind}/${object.metadata.name}`)
    })
}

describe('schema of the manifests', () => {
  test.each([...FILES, ...DRIVER_FILES])('%s', (file) => {
    expect(departuresOf(textOf(file))).toEqual([])
  })

  const overlays = ['cert-manager', 'client-certificate', 'guard-cluster-wide', 'guard-warn']
  test.each(HAS_KUBECTL ? overlays : [])('overlay %s', (overlay) => {
    const text = kustomized(`overlays/${overlay}`).map((object) => JSON.stringify(object))
    expect(departuresOf(text.join('\n---\n'))).toEqual([])
  })

  test.each([
    ['replicas: 2', 'replica: 2', 'spec.replica is not a field of V1DeploymentSpec'],
    ['replicas: 2', "replicas: '2'", 'spec.replicas is "2"; allowed: number'],
    ['containerPort: 8443', 'port: 8443', 'ports[0].port is not a field of V1ContainerPort'],
    ['drop: [ALL]', 'drop: ALL', 'capabilities.drop is "ALL"; allowed: Array<string>'],
  ])('tells %s from %s', (right, wrong, departure) => {
    const text = textOf('base/deployment.yaml')
    expect(text).toContain(right)
    const found = departuresOf(text.replace(right, wrong))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(departure)
  })
})
