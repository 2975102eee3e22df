/**
 * Test double's conscience: what was secret and what was said in a whole test run, so that the end of
 * the run can tell whether any log shows a secret. Never shipped.
 *
 * Tests run in several processes, so each appends to files of its own in the folder that the
 * environment names; without it nothing is kept.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const LEAK_CHECK_ENV = 'NOCREDS_TEST_LEAK_CHECK'

type Kind = 'secrets' | 'said'

/** A key, a token, an authorization: from now on nobody may say it. */
export function recordSecret(secret: string): void {
  note('secrets', secret)
}

/** A line of a log, or whatever else a process or a server said to people. */
export function recordOutput(text: string): void {
  note('said', text)
}

function note(kind: Kind, text: string): void {
  const folder = process.env[LEAK_CHECK_ENV]
  if (folder === undefined || text === '') return
  appendFileSync(join(folder, `${process.pid}.${kind}`), `${JSON.stringify(text)}\n`)
}

export interface LeakReport {
  readonly secrets: number
  readonly said: number
  /** What was said with a secret in it, with the secret blackened. */
  readonly leaks: readonly string[]
}

/** Holds all that was said against all that was secret. */
export function findLeaks(folder: string): LeakReport {
  const read = (kind: Kind): string[] =>
    readdirSync(folder)
      .filter((file) => file.endsWith(`.${kind}`))
      .flatMap((file) => readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'))
      .map((line) => JSON.parse(line) as string)
  const secrets = [...new Set(read('secrets'))]
  const said = read('said')
  const all = said.join('\n')
  const leaked = secrets.filter((secret) => all.includes(secret))
  const leaks = leaked.flatMap((secret) =>
    said.filter((line) => line.includes(secret)).map((line) => line.replaceAll(secret, '█████')),
  )
  return { secrets: secrets.length, said: said.length, leaks }
}
