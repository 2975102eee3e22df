/**
 * What kube-controller-manager does in a cluster, as far as pods and RBAC need it: ServiceAccount `default` in each
 * Namespace, and the rules of the ClusterRoles that are put together from others. Nothing else is done: Namespaces
 * that are deleted stay Terminating, Deployments have no pods.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { realClock } from '../../shared/base/clock.ts'
import type { Apiserver } from '../support/apiserver.ts'
import type { Host } from '../support/host.ts'

const CLUSTER_ROLES = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
/** In this order, as each includes the one before it. */
const AGGREGATED = ['view', 'edit', 'admin']

const WATCH_PAUSE_MS = 200

interface ClusterRole {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly aggregationRule?: {
    readonly clusterRoleSelectors: readonly {
      readonly matchLabels: Readonly<Record<string, string>>
    }[]
  }
  readonly rules?: readonly object[] | null
}

/** @returns ends it */
export async function startControllers(host: Host, api: Apiserver): Promise<{ stop(): void }> {
  await aggregateRoles(api)
  let isStopped = false
  let watching = watchNamespaces()

  function watchNamespaces(): ReturnType<typeof spawn> {
    const args = ['get', 'namespaces', '--watch', '--output=name']
    const child = spawn('kubectl', args, {
      env: { ...host.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      void createDefaultServiceAccount(api, line.replace('namespace/', ''))
    })
    // The apiserver is being restarted.
    child.on('exit', () => {
      realClock.after(WATCH_PAUSE_MS, () => {
        if (!isStopped) watching = watchNamespaces()
      })
    })
    return child
  }
  return {
    stop() {
      isStopped = true
      watching.kill()
    },
  }
}

/** One that is there already is as good, and a Namespace that ends needs none. */
async function createDefaultServiceAccount(api: Apiserver, namespace: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`
  await api({ method: 'POST', path, body }).catch(() => undefined)
}

async function aggregateRoles(api: Apiserver): Promise<void> {
  for (const name of AGGREGATED) {
    const { body } = await api({ method: 'GET', path: CLUSTER_ROLES })
    const { items } = body as { readonly items: readonly ClusterRole[] }
    const selectors =
      items.find(({ metadata }) => metadata.name === name)?.aggregationRule?.clusterRoleSelectors ??
      []
    const rules = items
      .filter(({ metadata }) =>
        selectors.some(({ matchLabels }) =>
          Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
        ),
      )
      .flatMap((role) => role.rules ?? [])
    const patched = await api({
      method: 'PATCH',
      path: `${CLUSTER_ROLES}/${name}`,
      body: { rules },
      contentType: 'application/merge-patch+json',
    })
    if (patched.status !== 200) throw new Error(`ClusterRole ${name}: ${patched.message}`)
  }
}
