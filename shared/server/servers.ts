import type { Server as HttpsServer } from 'node:https'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import { listenWidely } from './budget/listeners.ts'
import { countRefusals, type RecordRefusal } from './budget/refusals.ts'
import { closeServers, drain } from './drain.ts'
import { createOpsServer, type MetricsRegistry } from './ops-server.ts'

export interface ServersOptions {
  /** Name of the program in its log. */
  readonly program: string
  readonly registry: MetricsRegistry
  readonly metricsPort: number
  /** Whether all that an answer needs is in place. */
  readonly isReady: () => boolean
  readonly clock: Clock
  readonly log: Logger
}

/** How the main server of a program begins and ends. */
interface Serving {
  readonly port: number
  /** Ends what runs beside the server, once it is drained. */
  readonly stop: () => void
  /** False where no callers find the program by a Service. Default true. */
  readonly drains?: boolean
  /** For the log. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** A program that serves. */
export interface RunningServers {
  readonly port: number
  readonly metricsPort: number
  /** Listens, does not drain, and all that an answer needs is in place. */
  isReady(): boolean
  /** Becomes unready, drains, closes. */
  stop(): Promise<void>
}

/** Probes and metrics, which are there before the main server is. */
export interface OpenServers {
  readonly recordRefusal: RecordRefusal
  /** Listens. @throws Node's error for a port that is taken */
  serve(main: HttpsServer, serving: Serving): Promise<RunningServers>
  /** Without a main server. */
  close(): Promise<void>
}

/**
 * Opens the server for probes and metrics, so that a program says that it is not ready from its start on.
 *
 * @throws Node's error for a port that is taken
 */
export async function openServers(options: ServersOptions): Promise<OpenServers> {
  const { program, registry, clock, log } = options
  const state = { listening: false, draining: false }
  const isReady = (): boolean => state.listening && !state.draining && options.isReady()
  const recordRefusal = countRefusals(registry, { clock, log })
  const ops = createOpsServer(registry, isReady, { clock, recordRefusal })
  const metricsPort = await listenWidely(ops, options.metricsPort)
  return {
    recordRefusal,
    close: () => closeServers([ops], clock),
    async serve(main, { drains = true, fields = {}, ...serving }) {
      const port = await listenWidely(main, serving.port)
      state.listening = true
      log.info({ port, metricsPort, ...fields }, `${program} listening`)
      return {
        port,
        metricsPort,
        isReady,
        async stop() {
          state.draining = true
          log.info({}, `${program} draining`)
          // Callers keep connections for minutes; each is told to open its next one elsewhere.
          main.prependListener('request', (_request, response) => {
            response.setHeader('connection', 'close')
          })
          if (drains) await drain(clock)
          serving.stop()
          await closeServers([main, ops], clock)
        },
      }
    },
  }
}
