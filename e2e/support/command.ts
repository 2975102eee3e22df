import { spawn } from 'node:child_process'
import { NocredsError } from '../../shared/base/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A program that could not be started, ended with another code than 0, or took too long. */
export class CommandError extends NocredsError<'ERR_COMMAND'> {
  /** Everything that it printed. */
  readonly output: string

  constructor(command: string, how: string, output: string) {
    const last = output.trim().split('\n').slice(-8).join('\n  ')
    super('ERR_COMMAND', `${command} ${how}${last === '' ? '' : `\n  ${last}`}`)
    this.output = output
  }
}

export interface CommandOptions {
  readonly env: Environment
  readonly cwd?: string
  /** Given on standard input. */
  readonly input?: string
  /** Default: ten minutes. */
  readonly timeoutMs?: number
  /** Ends the program if it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a program without a shell and returns what it printed on standard output, trimmed.
 *
 * @throws CommandError with the last lines of what it printed
 */
export function run(
  command: string,
  args: readonly string[],
  { env, cwd, input, timeoutMs = 600_000, signal }: CommandOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...env },
      // Not `timeout`: its timer stays behind if the program is not there.
      signal: anyOf(AbortSignal.timeout(timeoutMs), signal),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const shown = [command, ...args].join(' ').slice(0, 160)
    let stdout = ''
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.on('error', (error) => {
      const how =
        error.name === 'AbortError'
          ? signal?.aborted === true
            ? 'was interrupted'
            : `was ended after ${timeoutMs / 1000} s`
          : `cannot be started: ${error.message}`
      reject(new CommandError(shown, how, output))
    })
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout.trim())
      else reject(new CommandError(shown, `ended with ${String(code ?? signal)}`, output))
    })
    child.stdin.on('error', () => undefined) // a program need not read what it is given
    child.stdin.end(input ?? '')
  })
}

function anyOf(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? one : AbortSignal.any([one, other])
}

/** Runs a program that uses the terminal; returns its exit code, 1 if a signal ended it. */
export function show(
  command: string,
  args: readonly string[],
  { env, cwd, signal }: Pick<CommandOptions, 'env' | 'cwd' | 'signal'>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...env }, signal, stdio: 'inherit' })
    child.on('error', reject)
    child.on('close', (code) => {
      resolve(code ?? 1)
    })
  })
}

/** What the program printed, or undefined if it failed or is not there. */
export async function tryRun(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string | undefined> {
  try {
    return await run(command, args, options)
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}
