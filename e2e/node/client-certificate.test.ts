/** The webhook by mutual TLS, set up by the words of docs/install.md: it answers the apiserver, and nobody else. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { realClock } from '../../shared/base/clock.ts'
import { createCa, issueLeaf, type Issued } from '../../webhook/tls/certificates.ts'
import { withSts } from '../cluster/install.ts'
import { INSTALL } from '../cluster/names.ts'
import { apiserverOf } from '../support/apiserver.ts'
import { webhookOf, type Webhook } from '../support/nocreds-webhook.ts'
import {
  addApiserverFlag,
  APISERVER_FOLDER,
  apiserverReady,
  writeForApiserver,
} from '../support/node.ts'
import { admissionIsBack } from '../support/pod-stream.ts'
import { closeSuite, createTeam, identityOf, openSuite, podSpec } from '../support/suite.ts'
import { whoAmIThenStay, type Suite, type Team } from '../support/suite.ts'
import { REPOSITORY } from '../versions.ts'

const OVERLAY = join(REPOSITORY, 'manifests/overlays/client-certificate')
const SECRET = 'nocreds-webhook-client-ca'
const WEBHOOK = 'nocreds-webhook.nocreds-system.svc'

/** Run inside a pod: what comes of a review that is asked for with the certificate on standard input. */
const ASK = `
const { cert, key } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const options = { host: '${WEBHOOK}', path: '/mutate/pods', method: 'POST', rejectUnauthorized: false, cert, key }
const asked = require('https').request(options, (answer) => end('answered', answer.statusCode))
asked.on('error', ({ code }) => end('refused', code))
asked.end()
const end = (...said) => {
  console.log(...said)
  process.exit()
}
`

let suite: Suite
let webhook: Webhook
let team: Team
let client: Issued
let undoFlag: (() => Promise<void>) | undefined

beforeAll(async () => {
  suite = await openSuite('client')
  webhook = webhookOf(suite.kubectl)
  await webhook.settled()
  team = await createTeam(suite, 'team')
}, 300_000)

afterAll(async () => {
  await suite.kubectl(['apply', '-f', INSTALL])
  await webhook.settled()
  await undoFlag?.()
  await apiserverReady(suite.kubectl)
  await webhook.settled()
  const inSystem = ['--namespace', 'nocreds-system', '--ignore-not-found']
  await suite.kubectl(['delete', 'secret', SECRET, ...inSystem])
  // Of a team that the webhook cannot know yet: it has to reach the apiserver again.
  await admissionIsBack(await apiserverOf(suite.kubectl), await createTeam(suite, 'later'))
  await closeSuite(suite)
}, 600_000)

const ADMISSION_CONFIGURATION = {
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AdmissionConfiguration',
  plugins: [
    {
      name: 'MutatingAdmissionWebhook',
      configuration: {
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'WebhookAdmissionConfiguration',
        kubeConfigFile: `${APISERVER_FOLDER}/kubeconfig.yaml`,
      },
    },
  ],
}
const KUBECONFIG = {
  apiVersion: 'v1',
  kind: 'Config',
  users: [
    {
      name: WEBHOOK,
      user: {
        'client-certificate': `${APISERVER_FOLDER}/client.crt`,
        'client-key': `${APISERVER_FOLDER}/client.key`,
      },
    },
  ],
}

const HOUR = { nowMs: realClock.now(), lifetimeSeconds: 3600 }
const clientOf = (ca: Issued): Promise<Issued> =>
  issueLeaf({ ...HOUR, ca, dnsNames: ['kube-apiserver'], usage: 'clientAuth' })

async function apply(pod: string): Promise<void> {
  const metadata = { name: pod, namespace: team.namespace }
  const spec = podSpec(whoAmIThenStay())
  await suite.kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
}

/** What a pod hears that asks the webhook itself. */
async function ask(presented: Partial<Issued>): Promise<string> {
  const input = JSON.stringify({ cert: presented.certPem, key: presented.keyPem })
  const exec = ['exec', '--stdin', 'asks', '--namespace', team.namespace, '--container', 'app']
  return suite.kubectl([...exec, '--', 'node', '-e', ASK], input)
}

test('the apiserver presents a client certificate, then the webhook requires it', async () => {
  const ca = await createCa(HOUR)
  client = await clientOf(ca)
  const { kubectl, host } = suite
  await apply('asks')
  expect(await identityOf(suite, team, 'asks')).toEqual(team.identity)
  expect(await ask({})).toMatch(/^answered 4\d\d$/)

  await writeForApiserver(host, {
    'client.crt': client.certPem,
    'client.key': client.keyPem,
    'configuration.yaml': JSON.stringify(ADMISSION_CONFIGURATION),
    'kubeconfig.yaml': JSON.stringify(KUBECONFIG),
  })
  undoFlag = await addApiserverFlag(
    host,
    `--admission-control-config-file=${APISERVER_FOLDER}/configuration.yaml`,
  )
  await apiserverReady(kubectl)
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: SECRET, namespace: 'nocreds-system' },
    stringData: { 'ca.crt': ca.certPem },
  })
  const overlay = await kubectl(['kustomize', OVERLAY])
  await kubectl(['apply', '-f', '-'], withSts(overlay))
  await webhook.settled()
  await admissionIsBack(await apiserverOf(kubectl), team)
  await apply('admitted')
  expect(await identityOf(suite, team, 'admitted')).toEqual(team.identity)
}, 600_000)

test('every other client is refused in the handshake', async () => {
  expect(await ask(client)).toMatch(/^answered 4\d\d$/)
  expect(await ask({})).toMatch(/^refused /)
  expect(await ask(await clientOf(await createCa(HOUR)))).toMatch(/^refused /)
})
