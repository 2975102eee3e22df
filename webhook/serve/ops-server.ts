import express, { type Express } from 'express'
import { WEBHOOK } from '../../contract/names.ts'
import type { Metrics } from './metrics.ts'

export interface Probes {
  /** Ready once certificate, caBundle and caches are in place; not while draining. */
  isReady(): boolean
  /** False only for what a restart cures. */
  isLive(): boolean
}

/** Probes and metrics on plain HTTP; nothing secret is in them. */
export function createOpsApp(metrics: Metrics, probes: Probes): Express {
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
  probe(WEBHOOK.probes.live, () => probes.isLive())
  probe(WEBHOOK.probes.ready, () => probes.isReady())
  app.get(WEBHOOK.probes.metrics, async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics())
  })
  return app
}
