import type { Server as HttpsServer } from 'node:https'
import type { Clock } from '../base/clock.ts'
import type { LogFields, Logger } from '../base/log.ts'
import { listenOnManySockets } from './budget/listeners.ts'
import { countRefusals, type RecordRefusal } from './budget/refusals.ts'
import { closeServers, drain } from './drain.ts'
import { createOpsServer, type MetricsRegistry } from './ops-server.ts'

export interface ServersOptions {
  /** Name of the program in its log. */
  readonly program: string
  readonly registry: MetricsRegistry
  readonly metricsPort: number
  /** Whether requests can be served. */
  readonly isReady: () => boolean
  readonly clock: Clock
  readonly log: Logger
}

/** How the main server of a program starts and stops. */
interface Serving {
  readonly port: number
  /** Stops everything else, once the server is drained. */
  readonly stop: () => void
  /** False if no client reaches the program through a Service. Default: true. */
  readonly drains?: boolean
  /** Additional fields of the log line. */
  readonly fields?: LogFields
}

/** A program that serves. */
export interface RunningServers {
  readonly port: number
  readonly metricsPort: number
  /** True if the server listens, is not draining, and can serve requests. */
  isReady(): boolean
  /** Becomes unready, drains, closes. */
  stop(): Promise<void>
}

/** Probes and metrics, which are served before the main server starts. */
export interface OpenServers {
  readonly recordRefusal: RecordRefusal
  /** Starts the main server. @throws Node's error if the port is taken */
  serve(main: HttpsServer, serving: Serving): Promise<RunningServers>
  /** For a program that clients reach otherwise, such as by a socket. */
  serveElsewhere(
    serving: Pick<Serving, 'fields'> & { readonly stop: () => Promise<void> },
  ): Omit<RunningServers, 'port'>
  /** Closes without a main server. */
  close(): Promise<void>
}

/**
 * Starts the server for probes and metrics, so that a program reports that it is not ready from the beginning.
 *
 * @throws Node's error if the port is taken
 */
export async function openServers(options: ServersOptions): Promise<OpenServers> {
  const { registry, clock, log } = options
  const phase = new Phase(options)
  const isReady = (): boolean => phase.isReady
  const recordRefusal = countRefusals(registry, { clock, log })
  const ops = createOpsServer(registry, isReady, { clock, recordRefusal })
  const metricsPort = await listenOnManySockets(ops, options.metricsPort)
  return {
    recordRefusal,
    close: () => closeServers([ops], clock),
    serveElsewhere({ fields = {}, stop }) {
      phase.listening({ metricsPort, ...fields })
      return {
        metricsPort,
        isReady,
        async stop() {
          phase.draining()
          await stop()
          await closeServers([ops], clock)
        },
      }
    },
    async serve(main, { drains = true, fields = {}, ...serving }) {
      const port = await listenOnManySockets(main, serving.port)
      phase.listening({ port, metricsPort, ...fields })
      return {
        port,
        metricsPort,
        isReady,
        async stop() {
          phase.draining()
          askClientsToReconnect(main)
          if (drains) await drain(clock)
          serving.stop()
          await closeServers([main, ops], clock)
        },
      }
    },
  }
}

/** What a program does now, for its probes and its log. */
class Phase {
  readonly #options: ServersOptions
  #now: 'starting' | 'listening' | 'draining' = 'starting'

  constructor(options: ServersOptions) {
    this.#options = options
  }

  get isReady(): boolean {
    return this.#now === 'listening' && this.#options.isReady()
  }

  listening(fields: LogFields): void {
    this.#now = 'listening'
    this.#options.log.info(fields, `${this.#options.program} listening`)
  }

  draining(): void {
    this.#now = 'draining'
    this.#options.log.info({}, `${this.#options.program} draining`)
  }
}

/** Clients keep connections for minutes; from now on each response tells them to open a new one. */
function askClientsToReconnect(server: HttpsServer): void {
  server.prependListener('request', (_request, response) => {
    response.setHeader('connection', 'close')
  })
}
