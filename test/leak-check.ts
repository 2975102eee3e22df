/**
 * Collects the secrets and the output of a whole test run, so that the end of the run can check whether any log shows
 * a secret. Never shipped.
 *
 * Tests run in several processes, so each appends to files of its own in the folder that the
 * environment names; without it nothing is kept.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const LEAK_CHECK_ENV = 'NOCREDS_TEST_LEAK_CHECK'

type Kind = 'secrets' | 'output'

/** A key, a token, an authorization: from now on it must not be in any output. */
export function recordSecret(secret: string): void {
  append('secrets', secret)
}

/** A line of a log, or any other output of a process or a server for people. */
export function recordOutput(text: string): void {
  append('output', text)
}

function append(kind: Kind, text: string): void {
  const folder = process.env[LEAK_CHECK_ENV]
  if (folder === undefined || text === '') return
  appendFileSync(join(folder, `${process.pid}.${kind}`), `${JSON.stringify(text)}\n`)
}

export interface LeakReport {
  readonly secrets: number
  readonly lines: number
  /** Output that contains a secret, with the secret blackened. */
  readonly leaks: readonly string[]
}

/** Searches all output for all secrets. */
export function findLeaks(folder: string): LeakReport {
  const read = (kind: Kind): string[] =>
    readdirSync(folder)
      .filter((file) => file.endsWith(`.${kind}`))
      .flatMap((file) => readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'))
      .map((line) => JSON.parse(line) as string)
  const secrets = [...new Set(read('secrets'))]
  const output = read('output')
  const all = output.join('\n')
  const leaked = secrets.filter((secret) => all.includes(secret))
  const leaks = leaked.flatMap((secret) =>
    output.filter((line) => line.includes(secret)).map((line) => line.replaceAll(secret, '█████')),
  )
  return { secrets: secrets.length, lines: output.length, leaks }
}
