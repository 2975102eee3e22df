/** Test double: folders and env of a sidecar, and the built programs run in them. Never shipped. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseCredentialDocument, type CredentialDocument } from '../../contract/credentials.ts'
import { toEnv, type CredentialsConfig } from '../../contract/exchanger-env.ts'
import { writeAtomically } from '../../shared/base/files.ts'
import { recordOutput } from '../leak-check.ts'
import { CONFIG, type LogLine } from './exchanger-samples.ts'

/** What a sidecar finds in its pod. */
export interface Pod {
  readonly config: CredentialsConfig
  readonly env: Record<string, string>
  putToken(jwt: string): Promise<void>
  /** @throws if there is none */
  document(): Promise<CredentialDocument>
  terminationMessage(): Promise<string>
}

export async function makePod(settings: Partial<CredentialsConfig>): Promise<Pod> {
  const folder = await mkdtemp(join(tmpdir(), 'nocreds-pod-'))
  const config: CredentialsConfig = {
    ...CONFIG,
    tokenFile: join(folder, 'token'),
    credentialsFolder: join(folder, 'aws'),
    terminationMessageFile: join(folder, 'termination-log'),
    ...settings,
  }
  await mkdir(config.credentialsFolder)
  await writeFile(config.terminationMessageFile, '')
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': config.pod,
    'metadata.uid': config.defaultTags?.podUid,
  }
  const env = new Map(
    toEnv(config).map(({ name, value, valueFrom }) => [
      name,
      value ?? fields[valueFrom?.fieldRef.fieldPath ?? ''] ?? '',
    ]),
  )
  env.set('PATH', dirname(process.execPath))
  return {
    config,
    env: Object.fromEntries(env),
    putToken: (jwt) => writeAtomically(config.tokenFile, jwt),
    async document() {
      const text = await readFile(join(config.credentialsFolder, 'credentials.json'), 'utf8')
      return parseCredentialDocument(text)
    },
    terminationMessage: () => readFile(config.terminationMessageFile, 'utf8'),
  }
}

/** Commands whose stdout is the secret itself, and nothing else. */
const PRINT_SECRETS = ['exchange', 'certificate']

/** A program that runs, with what it has said so far. */
export interface Running {
  readonly pid: number
  readonly said: { stdout: string; stderr: string }
  readonly exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
  lines(): LogLine[]
}

export function start(
  program: string,
  command: string,
  env: Readonly<Record<string, string>>,
): Running {
  const child = spawn(process.execPath, [program, command], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
    if (!PRINT_SECRETS.includes(command)) recordOutput(text)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
    recordOutput(text)
  })
  return {
    pid: child.pid ?? 0,
    said,
    exited: once(child, 'close').then(([code]) => code as number | null),
    kill: (signal) => child.kill(signal),
    lines: () =>
      said.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as LogLine),
  }
}

/** Between two polls in milliseconds, and how many there are: fewer than a test's own timeout allows. */
const POLLS = { everyMs: 20, max: 1250 } as const

/** Resolves with the result of `find` once it is not undefined; rejects if it never is. */
export async function until<T>(find: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let poll = 0; poll < POLLS.max; poll += 1) {
    const found = await find()
    if (found !== undefined) return found
    await pause(POLLS.everyMs)
  }
  throw new Error(`never came true: ${find.toString()}`)
}
