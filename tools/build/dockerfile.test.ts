import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { digestOf } from '../../contract/image.ts'
import { EXCHANGER } from '../../contract/names.ts'
import { ROOT } from '../../manifests/manifests.test-data.ts'

describe('Dockerfile', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const stage = (name: string): string =>
    /^[^\n]*\n([\s\S]*?)(?=\nFROM |$(?![\s\S]))/.exec(
      dockerfile.split(` AS ${name}`)[1] ?? '',
    )?.[1] ?? ''

  test('the images run the programs that the contract names, without a shell, as an unprivileged user', () => {
    expect(stage('exchanger')).toContain(
      `ENTRYPOINT ${JSON.stringify(EXCHANGER.program).replace(',', ', ')}`,
    )
    const spaces = { webhook: [8, 160], authority: [8, 160], driver: [1, 64] }
    for (const [server, [young, old]] of Object.entries(spaces)) {
      expect(stage(server)).toContain(
        `ENTRYPOINT ["node", "--max-semi-space-size=${young}", "--max-old-space-size=${old}", "/nocreds/${server}.mjs"]`,
      )
    }
    expect(stage('runtime')).toContain('ENV OPENSSL_CONF=/dev/null')
    expect(stage('runtime')).toContain(`USER ${EXCHANGER.userId}:${EXCHANGER.userId}`)
    expect(
      ['runtime', 'webhook', 'authority', 'driver', 'exchanger'].map(stage).join('\n'),
    ).not.toMatch(/^(RUN|ADD)/m)
  })

  test('the base is pinned by a digest, and every stage comes from it', () => {
    const base = /^ARG NODE_IMAGE=(.*)$/m.exec(dockerfile)?.[1] ?? ''
    expect(base).toMatch(/^node:24-bookworm-slim@/)
    expect(digestOf(base)).toBeDefined()
    expect(dockerfile.match(/^ARG RUNTIME_IMAGE=.*$/m)?.[0]).toBe('ARG RUNTIME_IMAGE=${NODE_IMAGE}')
    const from = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)
    expect(new Set(from)).toEqual(new Set(['${NODE_IMAGE}', '${RUNTIME_IMAGE}', 'runtime']))
  })

  test('the images hold the bundles and nothing else', () => {
    const copied = [...dockerfile.matchAll(/^COPY --from=build (.*) \/nocreds\/$/gm)].map(
      ([, files]) => files,
    )
    expect(copied).toEqual([
      '/src/dist/webhook.mjs',
      '/src/dist/authority.mjs',
      '/src/dist/driver.mjs',
      '/src/dist/exchanger.mjs /src/dist/exchange.mjs /src/dist/certificate.mjs',
    ])
    expect(dockerfile.match(/^COPY --from/gm)).toHaveLength(copied.length)
  })

  test('what the build stage copies is what .dockerignore lets through', () => {
    const letThrough = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1).replace(/\/$/, ''))
    const copied = stage('build')
      .split('\n')
      .filter((line) => line.startsWith('COPY '))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(copied.sort()).toEqual(letThrough.sort())
  })
})
