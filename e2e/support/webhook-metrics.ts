import type { Kubectl } from './kubectl.ts'

const NAMESPACE = 'nocreds-system'

/** How many reviews of pods the webhook's replicas have answered with a reason, by their own counters. */
export async function podReviews(kubectl: Kubectl, reason: string): Promise<number> {
  const selector = ['-l', 'app.kubernetes.io/name=nocreds-webhook', '-n', NAMESPACE]
  const running = '--field-selector=status.phase=Running'
  const { items } = await kubectl.get<{
    readonly items: readonly { readonly metadata: { readonly name: string } }[]
  }>(['pods', running, ...selector])
  let sum = 0
  for (const { metadata } of items) {
    const proxy = `/api/v1/namespaces/${NAMESPACE}/pods/${metadata.name}:9090/proxy/metrics`
    for (const line of (await kubectl(['get', '--raw', proxy])).split('\n')) {
      const isCounter = line.startsWith('nocreds_admission_requests_total{resource="pods"')
      if (isCounter && line.includes(`reason="${reason}"`)) sum += Number(line.split(' ').at(-1))
    }
  }
  return sum
}
