import type { Kubectl } from './kubectl.ts'
import { webhookReached } from './reached.ts'
import { waitFor } from './wait.ts'

const SYSTEM = ['--namespace', 'nocreds-system']
const DEPLOYMENT = 'deployment/nocreds-webhook'
const SELECTOR = ['--selector', 'app.kubernetes.io/name=nocreds-webhook']

interface Replica {
  readonly metadata: { readonly name: string; readonly uid: string }
  readonly status: {
    readonly containerStatuses: readonly {
      readonly containerID: string
      readonly restartCount: number
    }[]
  }
}

/** The webhook's Deployment as its operator handles it. */
export interface Webhook {
  replicas(): Promise<readonly Replica[]>
  /** Waits until both replicas are ready, nothing of an older rollout is left, and the apiserver reaches them. */
  settled(): Promise<void>
  /** Waits until as many are there and reached, or gone. */
  scale(replicas: number): Promise<void>
  restart(): Promise<void>
  /** Changes keys of `nocreds-settings`, and restarts the webhook, as docs/operations.md says. */
  configure(settings: Readonly<Record<string, string>>): Promise<void>
  /** When the certificate of each replica ends, in milliseconds since the epoch, by its own metric. */
  certificateEndsMs(): Promise<readonly number[]>
}

export function webhookOf(kubectl: Kubectl): Webhook {
  const replicas: Webhook['replicas'] = async () =>
    (await kubectl.get<{ items: Replica[] }>(['pods', ...SELECTOR, ...SYSTEM])).items
  const settled = async (): Promise<void> => {
    await kubectl(['rollout', 'status', DEPLOYMENT, '--timeout=180s', ...SYSTEM])
    await waitFor('replicas of older rollouts to end', 90_000, async () =>
      (await replicas()).length === 2 ? true : undefined,
    )
    await webhookReached(kubectl)
  }
  const endsMs = async ({ metadata }: Replica): Promise<number> => {
    const proxy = `/api/v1/namespaces/nocreds-system/pods/${metadata.name}:9090/proxy/metrics`
    const metrics = await kubectl(['get', '--raw', proxy])
    const seconds = /^nocreds_webhook_certificate_expiry_timestamp_seconds (\S+)$/m.exec(
      metrics,
    )?.[1]
    return Number(seconds) * 1000
  }
  const restart = async (): Promise<void> => {
    await kubectl(['rollout', 'restart', DEPLOYMENT, ...SYSTEM])
    await settled()
  }
  return {
    replicas,
    settled,
    restart,
    async configure(settings) {
      const patch = ['--type=merge', '-p', JSON.stringify({ data: settings })]
      await kubectl(['patch', 'configmap', 'nocreds-settings', ...patch, ...SYSTEM])
      await restart()
    },
    async scale(count) {
      await kubectl(['scale', DEPLOYMENT, `--replicas=${count}`, ...SYSTEM])
      await waitFor(`${count} replicas of the webhook`, 90_000, async () =>
        (await replicas()).length === count ? true : undefined,
      )
      if (count > 0) await settled()
    },
    certificateEndsMs: async () => Promise.all((await replicas()).map(endsMs)),
  }
}
