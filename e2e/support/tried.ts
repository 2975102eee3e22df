import type { Apiserver } from './apiserver.ts'

/** What comes of a pod that is only tried (dry run): `admitted`, or why not. */
export async function tryPod(
  api: Apiserver,
  namespace: string,
  serviceAccountName = 'default',
): Promise<string> {
  const answer = await api({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'tried-' },
      spec: { serviceAccountName, containers: [{ name: 'app', image: 'example/app:1' }] },
    },
  })
  return answer.status === 201 ? 'admitted' : `${answer.status} ${answer.message}`
}

/** What comes of a change of a Namespace that is only tried: `changed`, or why not. */
export async function tryNamespace(
  api: Apiserver,
  namespace: string,
  metadata: object,
): Promise<string> {
  const answer = await api({
    method: 'PATCH',
    path: `/api/v1/namespaces/${namespace}?dryRun=All`,
    contentType: 'application/merge-patch+json',
    body: { metadata },
  })
  return answer.status === 200 ? 'changed' : `${answer.status} ${answer.message}`
}
