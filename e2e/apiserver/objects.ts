import type { Apiserver, ApiAnswer } from '../support/apiserver.ts'

/** A pod, as far as the tests look at it. */
export interface Pod {
  readonly metadata: {
    readonly name?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly initContainers?: readonly {
      readonly name: string
      readonly env?: readonly { readonly name: string }[]
    }[]
    readonly containers: readonly {
      readonly name: string
      readonly env?: readonly { readonly name: string }[]
    }[]
  }
}

/** Creates an object in a collection. @throws Error with the apiserver's message */
export async function create(api: Apiserver, path: string, body: object): Promise<unknown> {
  const { status, message, body: created } = await api({ method: 'POST', path, body })
  if (status !== 201) throw new Error(`${path}: ${status} ${message}`)
  return created
}

/** A Namespace that permits one role, and its ServiceAccount `app`, which names it. */
export async function createTeam(api: Apiserver, name: string, role = ROLE): Promise<void> {
  const permitted = { 'nocreds.dev/permitted-roles': role }
  await create(api, '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, annotations: permitted },
  })
  await create(api, `/api/v1/namespaces/${name}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'app', annotations: { 'nocreds.dev/role-arn': role } },
  })
}

export const ROLE = 'arn:aws:iam::111122223333:role/team/app'

/** What Pod Security wants of pods in namespaces that it restricts, such as nocreds-system. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** A pod of a ServiceAccount; no scheduler takes it. */
export function pod(serviceAccountName: string, annotations = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'pod-', annotations },
    spec: {
      serviceAccountName,
      schedulerName: 'none',
      containers: [{ name: 'app', image: 'example/app:1', securityContext: RESTRICTED }],
    },
  }
}

/** Asks for a pod, which is kept if it is admitted. */
export function createPod(api: Apiserver, namespace: string, body: object): Promise<ApiAnswer> {
  return api({ method: 'POST', path: `/api/v1/namespaces/${namespace}/pods`, body })
}
