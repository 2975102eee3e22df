import { createServer, type Server } from 'node:http'
import type { Registry } from '@prometheus-io/client'
import express, { type Express } from 'express'
import { PROBES } from '../../contract/names.ts'
import type { ConnectionLimits, GuardDeps } from './budget/connection-guard.ts'
import { guardServer } from './budget/guard.ts'

/** For modules that only pass one on. */
export type MetricsRegistry = Registry

/** Kubelet and Prometheus need a few connections; they send no body and few headers. */
const LIMITS: ConnectionLimits = {
  unfinished: { max: 96, maxPerAddress: 64 },
  proven: { max: 48, maxPerAddress: 32 },
  deadlines: { handshakeMs: 5000, firstRequestMs: 5000, answerMs: 10_000 },
}
const MAX_HEADER_BYTES = 8192

/**
 * Probes and metrics on plain HTTP; nothing secret is in them.
 *
 * @param isReady whether requests can be served; false while draining
 */
export function createOpsServer(
  registry: Registry,
  isReady: () => boolean,
  deps: Omit<GuardDeps, 'server'>,
): Server {
  const options = { maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: 1000 }
  const server = createServer(options, createOpsApp(registry, isReady))
  server.headersTimeout = 5000
  server.requestTimeout = 5000
  server.keepAliveTimeout = 65_000 // Prometheus scrapes at most once a minute
  guardServer(server, LIMITS, { ...deps, server: 'metrics' })
  return server
}

function createOpsApp(registry: Registry, isReady: () => boolean): Express {
  const app = express()
  app.disable('x-powered-by')
  const probe = (path: string, isGood: () => boolean): void => {
    app.get(path, (_request, response) => {
      const good = isGood()
      response
        .status(good ? 200 : 503)
        .type('text/plain')
        .send(good ? 'ok\n' : 'not yet\n')
    })
  }
  probe(PROBES.live, () => true) // a restart does not help a process that responds
  probe(PROBES.ready, isReady)
  let scrape: Promise<string> | undefined
  app.get(PROBES.metrics, async (_request, response) => {
    // Concurrent clients share one page, because rendering it is the most expensive work of this server.
    scrape ??= registry.metrics().finally(() => {
      scrape = undefined
    })
    response.type(registry.contentType).send(await scrape)
  })
  return app
}
