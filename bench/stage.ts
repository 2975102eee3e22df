/** What every measurement of the webhook needs: certificate, cluster, bundle, and a folder for logs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { throwawayCertificate } from '../testbed/throwaway-certificate.ts'
import { load, type LoadResult } from './load.ts'
import { NAMESPACE, podReview, ROLE, SERVICE_ACCOUNT } from './pod-review.ts'
import { startNode, type Running } from './processes.ts'

const EXCHANGER_IMAGE = 'nocreds/exchanger:0.1.0'
const REPOSITORY = join(import.meta.dirname, '..')

/** As the table has it: 16 connections, one request under way on each. */
const CONNECTIONS = 16
const PATH = '/mutate/pods?timeout=5s'

/** JSON is YAML. */
const OBJECTS = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: NAMESPACE,
      annotations: { 'nocreds.dev/permitted-roles': 'arn:aws:iam::111122223333:role/team-a/.*' },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      name: SERVICE_ACCOUNT,
      namespace: NAMESPACE,
      annotations: { 'nocreds.dev/role-arn': ROLE },
    },
  },
]

export interface WebhookOptions {
  readonly nodeFlags?: readonly string[]
  readonly bundle?: string
  /** Instead of `--objects`: where the cluster is, by environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Instead of the certificate's files. */
  readonly tlsFlags?: readonly string[]
}

export class Stage {
  readonly folder: string
  readonly caPem: string
  readonly tlsFiles: readonly [cert: string, key: string]
  readonly #running: Running[] = []
  #started = 0

  private constructor(folder: string, caPem: string) {
    this.folder = folder
    this.caPem = caPem
    this.tlsFiles = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  }

  /** Runs the measurement; afterwards every process has ended and the folder is gone. */
  static async with<T>(measure: (stage: Stage) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
    const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
    const stage = new Stage(folder, caPem)
    try {
      await writeFile(stage.tlsFiles[0], certPem)
      await writeFile(stage.tlsFiles[1], keyPem, { mode: 0o600 })
      await writeFile(
        join(folder, 'objects.yaml'),
        OBJECTS.map((one) => JSON.stringify(one)).join('\n---\n'),
      )
      return await measure(stage)
    } finally {
      for (const process of stage.#running) await process.stop()
      await rm(folder, { recursive: true })
    }
  }

  /** The product: the built bundle with metrics, deadline, validation and log, as it is shipped. */
  webhook(options: WebhookOptions = {}): Promise<Running> {
    const { nodeFlags = [], bundle = join(REPOSITORY, 'dist/webhook.mjs'), env } = options
    const [cert, key] = this.tlsFiles
    const { tlsFlags = ['--tls', 'files', '--tls-cert', cert, '--tls-key', key] } = options
    const cluster = env === undefined ? ['--objects', join(this.folder, 'objects.yaml')] : []
    const args = [
      ...nodeFlags,
      bundle,
      '--exchanger-image',
      EXCHANGER_IMAGE,
      ...cluster,
      ...tlsFlags,
    ]
    return this.start([...args, '--port', '0', '--metrics-port', '0'], env)
  }

  /** The baseline. */
  bare(): Promise<Running> {
    const program = join(import.meta.dirname, 'baselines/bare.ts')
    return this.start([program, ...this.tlsFiles, EXCHANGER_IMAGE])
  }

  async start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Running> {
    const logFile = join(this.folder, `${(this.#started += 1)}.log`)
    const running = await startNode({ args, env, logFile })
    this.#running.push(running)
    return running
  }

  /** One round of load. */
  load(
    server: Running,
    durationMs: number,
    more: Partial<LoadOptionsOfRound> = {},
  ): Promise<LoadResult> {
    const { body = JSON.stringify(podReview()), connections = CONNECTIONS } = more
    const { port } = server
    return load({ port, caPem: this.caPem, path: PATH, body, durationMs, connections })
  }
}

interface LoadOptionsOfRound {
  readonly body: string
  readonly connections: number
}
