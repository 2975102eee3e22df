/**
 * Ready is not reached. `kubectl rollout status` returns when pods are ready; after that the EndpointSlice is
 * written, and kube-proxy hears of it and writes its rules, at most once a second. Until then a Service that led
 * to no pod refuses connections, and one whose pods were replaced may lead to those that have gone. So after each
 * rollout, restart and scaling the suite waits for what is here.
 */
import { CA_KEYS } from '../../authority/ca/state.ts'
import { AUTHORITY } from '../../contract/certificates.ts'
import { realClock, sleep, type Clock } from '../../shared/base/clock.ts'
import { messageOf } from '../../shared/base/errors.ts'
import { NODE_CONTAINER } from '../cluster/names.ts'
import { apiserverOf, type Apiserver } from './apiserver.ts'
import type { Host } from './host.ts'
import { kubectlOf, type Kubectl } from './kubectl.ts'
import { waitFor } from './wait.ts'

const NAMESPACE = 'nocreds-system'
const WEBHOOK = 'nocreds-webhook'
const LIMIT_MS = 60_000

/** Together more than two periods of kube-proxy. */
const ROUNDS = 6
const PAUSE_MS = 500
/** Each on a connection of its own unless one is idle, so more than one endpoint is met. */
const AT_ONCE = 8

interface ReachOptions {
  readonly clock?: Clock
  readonly limitMs?: number
  /** Attempts of one round. */
  readonly atOnce?: number
}

/**
 * Waits until `attempt` succeeds in ROUNDS rounds, one after the other and without a failure between them.
 *
 * @param what is to be reached, as the error says
 * @param attempt rejects if it is not reached
 * @throws Error with the last reason of `attempt`, if that rejects after `limitMs`
 */
export async function reached(
  what: string,
  attempt: () => Promise<void>,
  { clock = realClock, limitMs = LIMIT_MS, atOnce = AT_ONCE }: ReachOptions = {},
): Promise<void> {
  const endMs = clock.monotonic() + limitMs
  let inSequence = 0
  for (;;) {
    const round = await Promise.allSettled(Array.from({ length: atOnce }, attempt))
    const failed = round.find((one) => one.status === 'rejected')
    inSequence = failed === undefined ? inSequence + 1 : 0
    if (inSequence === ROUNDS) return
    // A sequence that has begun may continue: on a busy machine a round takes seconds.
    if (failed !== undefined && clock.monotonic() >= endMs) {
      const why = messageOf(failed.reason)
      throw new Error(`${what} was not reached in ${limitMs / 1000} s: ${why}`)
    }
    await sleep(clock, PAUSE_MS)
  }
}

interface Endpoint {
  readonly conditions?: { readonly ready?: boolean; readonly terminating?: boolean }
}

/** True if there are endpoints, and each of them is ready and stays. */
export function allStay(slices: readonly { readonly endpoints?: readonly Endpoint[] | null }[]) {
  const endpoints = slices.flatMap((slice) => slice.endpoints ?? [])
  const stays = ({ conditions }: Endpoint): boolean =>
    conditions?.ready !== false && conditions?.terminating !== true
  return endpoints.length > 0 && endpoints.every(stays)
}

/**
 * A Namespace that asks for injection, which is not kept: only the webhook gives it the label, and without the
 * webhook the apiserver refuses it.
 *
 * @throws Error with the apiserver's message, or if the label is missing
 */
export async function askWebhook(api: Apiserver): Promise<void> {
  const { status, message, body } = await api({
    method: 'POST',
    path: '/api/v1/namespaces?dryRun=All',
    body: {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: 'nocreds-reached',
        annotations: { 'nocreds.dev/permitted-roles': 'arn:aws:iam::000000000000:role/reached' },
      },
    },
  })
  if (status !== 201) throw new Error(`${status} ${message}`)
  const { labels } = (body as { readonly metadata: { readonly labels?: Record<string, string> } })
    .metadata
  if (labels?.['nocreds.dev/injection'] !== 'enabled')
    throw new Error('the apiserver did not ask the webhook')
}

/** Waits until the apiserver reaches the webhook by its Service. */
export async function webhookReached(kubectl: Kubectl): Promise<void> {
  await endpointsStay(kubectl, WEBHOOK)
  const api = await apiserverOf(kubectl)
  await reached('the webhook', () => askWebhook(api))
}

const CA_SECRET = 'nocreds-authority-ca'

/**
 * On the node, four handshakes with the authority at $1, whose roots are $2. A connection alone would show nothing: one
 * to an address that leads to no pod leaves the node, and there may be a proxy that answers for all.
 */
const HANDSHAKES = `
for _ in 1 2 3 4; do
  openssl s_client -connect "$1" -CAfile <(printf %s "$2") -verify_return_error \
    -verify_hostname ${AUTHORITY.host} </dev/null 2>&1 >/dev/null || exit 1
done`

/** Waits until the node, and so each of its pods, reaches the authority by its Service. */
export async function authorityReached(host: Host): Promise<void> {
  const kubectl = kubectlOf(host)
  await endpointsStay(kubectl, AUTHORITY.service)
  const { spec } = await kubectl.get<{ readonly spec: { readonly clusterIP: string } }>([
    ...['service', AUTHORITY.service, '--namespace', NAMESPACE],
  ])
  const exec = ['exec', NODE_CONTAINER, 'timeout', '10', 'bash', '-c', HANDSHAKES, 'handshakes']
  const shakeHands = async (): Promise<void> => {
    const { data } = await kubectl.get<{ readonly data?: Readonly<Record<string, string>> }>([
      ...['secret', CA_SECRET, '--namespace', NAMESPACE],
    ])
    const roots = Buffer.from(data?.[CA_KEYS.rootsPem] ?? '', 'base64').toString()
    await host.run('docker', [...exec, `${spec.clusterIP}:443`, roots])
  }
  await reached('the authority', shakeHands, { atOnce: 1 })
}

async function endpointsStay(kubectl: Kubectl, service: string): Promise<void> {
  const selector = ['--selector', `kubernetes.io/service-name=${service}`]
  await waitFor(`the endpoints of ${service} to be those that stay`, LIMIT_MS, async () => {
    const { items } = await kubectl.get<{ readonly items: Parameters<typeof allStay>[0] }>([
      ...['endpointslices', ...selector, '--namespace', NAMESPACE],
    ])
    return allStay(items) ? true : undefined
  })
}
