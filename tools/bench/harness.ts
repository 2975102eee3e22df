/** What every measurement of the webhook needs: certificate, cluster, servers, load, a folder. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../test/fakes/free-port.ts'
import { throwawayCertificate } from '../../test/fakes/throwaway-certificate.ts'
import { load, type LoadResult } from './load.ts'
import { EXCHANGER_IMAGE, NAMESPACE, podReview, ROLE, SERVICE_ACCOUNT } from './pod-review.ts'
import { cpuUs } from './proc.ts'
import { portInLog, startNode, type Running } from './processes.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Node's flags in the image, which are part of what is measured. */
const NODE_FLAGS = ['--max-semi-space-size=8', '--max-old-space-size=160'] as const
const REVIEW = JSON.stringify(podReview())
const PATH = '/mutate/pods?timeout=5s'
const CONNECTIONS = 16

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

/** A round of load, and what it cost the server: CPU time is what the neighbours disturb least. */
export interface Round extends LoadResult {
  readonly cpuUsPerReview: number
}

export interface WebhookOptions {
  readonly moreNodeFlags?: readonly string[]
  readonly bundle?: string
  /** A cluster instead of `--objects`. */
  readonly kubeConfig?: string
  /** Instead of certificate files. */
  readonly tlsFlags?: readonly string[]
}

export class Harness {
  readonly folder: string
  readonly tlsFiles: readonly [cert: string, key: string]
  readonly #caPem: string
  readonly #running: Running[] = []
  #started = 0

  private constructor(folder: string, caPem: string) {
    this.folder = folder
    this.tlsFiles = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    this.#caPem = caPem
  }

  /** Runs the measurement; afterwards every process has ended and the folder is gone. */
  static async with<T>(measure: (harness: Harness) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'nocreds-bench-'))
    const { caPem, certPem, keyPem } = await throwawayCertificate(['127.0.0.1'])
    const harness = new Harness(folder, caPem)
    try {
      await writeFile(harness.tlsFiles[0], certPem)
      await writeFile(harness.tlsFiles[1], keyPem, { mode: 0o600 })
      const objects = OBJECTS.map((one) => JSON.stringify(one)) // JSON is YAML
      await writeFile(join(folder, 'objects.yaml'), objects.join('\n---\n'))
      return await measure(harness)
    } finally {
      await Promise.all(harness.#running.map((running) => running.stop()))
      await rm(folder, { recursive: true })
    }
  }

  /** The product as it is shipped, with metrics, deadline, validation and log; resolves once ready. */
  async webhook(options: WebhookOptions = {}): Promise<Running> {
    const {
      moreNodeFlags = [],
      bundle = join(REPOSITORY, 'dist/webhook.mjs'),
      kubeConfig,
    } = options
    const [cert, key] = this.tlsFiles
    const { tlsFlags = ['--tls', 'files', '--tls-cert', cert, '--tls-key', key] } = options
    const [port, metricsPort] = [await freePort(), await freePort()]
    const args = [
      ...[
        ...NODE_FLAGS,
        ...moreNodeFlags,
        bundle,
        '--exchanger-image',
        EXCHANGER_IMAGE,
        ...tlsFlags,
      ],
      ...(kubeConfig === undefined ? ['--objects', join(this.folder, 'objects.yaml')] : []),
      ...['--port', String(port), '--metrics-port', String(metricsPort)],
    ]
    const env = kubeConfig === undefined ? {} : { KUBECONFIG: kubeConfig }
    const isReady = async (): Promise<boolean> => {
      const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined)
      return answer?.ok === true
    }
    const ready = async (): Promise<number | undefined> => ((await isReady()) ? port : undefined)
    return this.#keep(await startNode({ args, env, logFile: this.#logFile(), ready }))
  }

  /** The baseline. */
  bare(): Promise<Running> {
    return this.program('baselines/bare.ts', [...this.tlsFiles, EXCHANGER_IMAGE])
  }

  /** A program of this folder. */
  async program(file: string, flags: readonly string[]): Promise<Running> {
    const logFile = this.#logFile()
    const args = [join(import.meta.dirname, file), ...flags]
    return this.#keep(await startNode({ args, logFile, ready: portInLog(logFile) }))
  }

  /** A kubeconfig for an apiserver with this harness's certificate. */
  async kubeConfig({ port }: Pick<Running, 'port'>): Promise<string> {
    const file = join(this.folder, 'kubeconfig')
    const cluster = {
      server: `https://127.0.0.1:${port}`,
      'certificate-authority-data': Buffer.from(this.#caPem).toString('base64'),
    }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'bench', cluster }],
      users: [{ name: 'bench', user: { token: 'bench' } }],
      contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
      'current-context': 'bench',
    }
    await writeFile(file, JSON.stringify(config))
    return file
  }

  async load(
    { port, pid }: Running,
    durationMs: number,
    { body = REVIEW, connections = CONNECTIONS } = {},
  ): Promise<Round> {
    const before = cpuUs(pid)
    const result = await load({
      port,
      caPem: this.#caPem,
      path: PATH,
      body,
      durationMs,
      connections,
    })
    const cpuUsPerReview = (cpuUs(pid) - before) / result.requests
    return { ...result, cpuUsPerReview }
  }

  #logFile(): string {
    return join(this.folder, `${(this.#started += 1)}.log`)
  }

  #keep(running: Running): Running {
    this.#running.push(running)
    return running
  }
}
