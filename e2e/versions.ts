import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The checkout. */
export const REPOSITORY = join(import.meta.dirname, '..')

const packageJson = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
  readonly version: string
  readonly devDependencies: { readonly node: string }
}

export const KIND = 'v0.33.0'
export const KUBERNETES = 'v1.37.2'
/** The oldest that nocreds supports, in its last patch. */
export const OLDEST_KUBERNETES = 'v1.30.14'
/** What the modules in e2e/tools ask for. */
export const GO = '1.26.8'

/** Envoy of the examples of mutual TLS, if the machine has none. */
export const ENVOY = '1.40.0'

/** Node of the base image that is made here: the one that the checkout is built and tested with. */
export const NODE = packageJson.devDependencies.node
/** The npm that Node 24.9 comes with. */
export const NPM = '11.6.0'

/** Debian of every image that is made here. */
export const DEBIAN = 'bookworm'

export const IMAGES = {
  /** What kind v0.33.0 names as its own default. Kubernetes v1.37.0: no later patch is published. */
  kindPublished:
    'kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5',
  /** What is made here if that one cannot be pulled. */
  kindMade: `kindest/node:${KUBERNETES}`,
  /** Base of our own images, see the Dockerfile. */
  node: 'node:24-bookworm-slim',
  /** Bases of the SDK matrix, besides Node. */
  python: 'python:3.11-slim-bookworm',
  java: 'eclipse-temurin:17-jre',
  /** STS, IAM and S3 of the suite. */
  versitygw: 'versity/versitygw:v1.8.0',
  webhook: `nocreds/webhook:${packageJson.version}`,
  authority: `nocreds/authority:${packageJson.version}`,
  exchanger: `nocreds/exchanger:${packageJson.version}`,
  driver: `nocreds/driver:${packageJson.version}`,
  /** The app of the suite: JavaScript SDK on the Node base image. */
  appJavascript: 'nocreds-e2e/app-javascript:1',
} as const

/** The version that an upgrade is tested from: its commit, and names for its images that this version does not use. */
export const FORMER = {
  version: '0.1.0',
  commit: 'fa89866ce6bb03830614d8b64628fe0d7a1bdc93',
  images: {
    webhook: 'nocreds/webhook:0.1.0-former',
    authority: 'nocreds/authority:0.1.0-former',
    exchanger: 'nocreds/exchanger:0.1.0-former',
  },
} as const
