/** Generators of pods as the apiserver sends them, with fields that no schema knows. Never shipped. */
import fc from 'fast-check'
import { podSchema, type Pod } from '../../webhook/admit/pod.ts'

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/)
const unknownFields = fc.dictionary(fc.stringMatching(/^future[A-Za-z/~]{1,8}$/), fc.jsonValue(), {
  maxKeys: 2,
})

const envVar = fc.record({
  name: fc.constantFrom(
    'PORT',
    'AWS_REGION',
    'AWS_ROLE_ARN',
    'AWS_PROFILE',
    'AWS_CONFIG_FILE',
    'LANG',
    'a/b~c',
  ),
  value: fc.string({ minLength: 1, maxLength: 5 }), // an empty AWS_REGION is replaced
})

const container = fc
  .tuple(
    fc.record(
      {
        name,
        image: fc.constant('example/app:1'),
        env: fc.uniqueArray(envVar, { selector: (one) => one.name, maxLength: 4 }),
        volumeMounts: fc.uniqueArray(
          fc.record({ name, mountPath: fc.stringMatching(/^\/[a-z]{1,6}$/) }),
          { selector: (one) => one.mountPath, maxLength: 3 },
        ),
      },
      { requiredKeys: ['name', 'image'] },
    ),
    unknownFields,
  )
  .map(([known, unknown]) => ({ ...unknown, ...known }))

const containers = fc.uniqueArray(container, {
  selector: (one) => one.name,
  minLength: 1,
  maxLength: 4,
})

const volumes = fc.uniqueArray(fc.record({ name, emptyDir: fc.constant({}) }), {
  selector: (one) => one.name,
  maxLength: 3,
})

const spec = fc
  .tuple(
    fc.record(
      { containers, initContainers: containers, volumes, hostNetwork: fc.constant(false) },
      { requiredKeys: ['containers'] },
    ),
    unknownFields,
  )
  .map(([known, unknown]) => ({ ...unknown, ...known }))

const metadata = fc.record(
  {
    name,
    labels: fc.dictionary(name, name),
    annotations: fc.dictionary(fc.constantFrom('team', 'a/b', 'kubernetes.io/x'), name),
  },
  { requiredKeys: ['name'] },
)

export const anyPod: fc.Arbitrary<Pod> = fc
  .tuple(fc.record({ metadata, spec }), unknownFields)
  .map(([known, unknown]) => podSchema.parse({ ...unknown, ...known }))
