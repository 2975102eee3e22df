import type { Registry } from '@prometheus-io/client'
import express, { type Express } from 'express'
import { WEBHOOK } from '../contract/names.ts'

export interface Probes {
  /** Ready once all that an answer needs is in place; not while draining. */
  isReady(): boolean
  /** False only for what a restart cures. */
  isLive(): boolean
}

/** Probes and metrics on plain HTTP; nothing secret is in them. */
export function createOpsApp(registry: Registry, probes: Probes): Express {
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
    response.type(registry.contentType).send(await registry.metrics())
  })
  return app
}
