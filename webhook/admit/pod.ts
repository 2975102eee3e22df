import * as z from 'zod'
import { checkInPlace } from './check-in-place.ts'

/**
 * The fields of a Pod that nocreds reads, and nothing else. Every object is loose: a field that is
 * newer than this code travels through untouched.
 * Source: Kubernetes API reference, Pod v1.
 */
const annotations = z.record(z.string(), z.string())

const envVar = z.looseObject({ name: z.string(), value: z.string().nullish() })
const volumeMount = z.looseObject({ name: z.string(), mountPath: z.string() })

/** Any values: the apiserver refuses those that are not quantities. */
const quantities = z.record(z.string(), z.unknown())

const resources = z.looseObject({
  claims: z.array(z.unknown()).nullish(),
  requests: quantities.nullish(),
  limits: quantities.nullish(),
})

const securityContext = z.looseObject({
  windowsOptions: z.looseObject({ hostProcess: z.boolean().nullish() }).nullish(),
})

/** Terms of which one must fit, each of expressions that all must. */
const affinity = z.looseObject({
  nodeAffinity: z
    .looseObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .looseObject({
          nodeSelectorTerms: z
            .array(
              z.looseObject({
                matchExpressions: z
                  .array(
                    z.looseObject({
                      key: z.string(),
                      operator: z.string(),
                      values: z.array(z.string()).nullish(),
                    }),
                  )
                  .nullish(),
              }),
            )
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

const container = z.looseObject({
  name: z.string(),
  restartPolicy: z.string().nullish(),
  image: z.string().nullish(),
  imagePullPolicy: z.string().nullish(),
  resources: resources.nullish(),
  env: z.array(envVar).nullish(),
  volumeMounts: z.array(volumeMount).nullish(),
  securityContext: securityContext.nullish(),
})

const volume = z.looseObject({
  name: z.string(),
  csi: z.looseObject({ driver: z.string().nullish() }).nullish(),
})

export const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().nullish(),
    generateName: z.string().nullish(),
    annotations: annotations.nullish(),
  }),
  spec: z.looseObject({
    serviceAccountName: z.string().nullish(),
    hostNetwork: z.boolean().nullish(),
    dnsPolicy: z.string().nullish(),
    shareProcessNamespace: z.boolean().nullish(),
    resources: resources.nullish(),
    os: z.looseObject({ name: z.string() }).nullish(),
    securityContext: securityContext.nullish(),
    affinity: affinity.nullish(),
    nodeSelector: z.record(z.string(), z.string()).nullish(),
    volumes: z.array(volume).nullish(),
    initContainers: z.array(container).nullish(),
    containers: z.array(container),
    ephemeralContainers: z.array(z.looseObject({ name: z.string() })).nullish(),
  }),
})

export const checkPod = checkInPlace(podSchema)

export const namespaceSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().nullish(),
    generateName: z.string().nullish(),
    annotations: annotations.nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
})

export type EnvVar = Readonly<z.infer<typeof envVar>>
export type VolumeMount = Readonly<z.infer<typeof volumeMount>>
export type Container = Readonly<z.infer<typeof container>>
export type Resources = Readonly<z.infer<typeof resources>>
export type Volume = Readonly<z.infer<typeof volume>>
export type Pod = Readonly<z.infer<typeof podSchema>>
export type Namespace = Readonly<z.infer<typeof namespaceSchema>>

/** The object's own name, or the prefix from which the apiserver generates one. */
export function nameOf({ metadata }: Pod | Namespace): string {
  return metadata.name ?? metadata.generateName ?? ''
}

/** The apiserver appends 5 characters to a `generateName`, cutting that to 58 first. */
const GENERATED = { suffix: 5, prefixMax: 58 } as const

/** The pod's own name, or a text as long as the longest that the apiserver may generate for it. */
export function longestNameOf(pod: Pod): string {
  if (pod.metadata.name) return pod.metadata.name
  return '-'.repeat(Math.min(nameOf(pod).length, GENERATED.prefixMax) + GENERATED.suffix)
}

/** Name of the ServiceAccount that the pod runs as. Source: Kubernetes, "Service Accounts". */
export function serviceAccountOf({ spec }: Pod): string {
  return spec.serviceAccountName ? spec.serviceAccountName : 'default'
}

/** All containers that run as part of the pod; init containers first, as they start. */
export function containersOf(pod: Pod): Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
}
