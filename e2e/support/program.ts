import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Environment } from './command.ts'

/** A program that runs until it is stopped. */
export interface Program {
  /** Lines of its standard output, so far. */
  readonly lines: readonly string[]
  /** What it said on standard error, so far. */
  complaints(): string
  /** Ends it, and what it started. */
  stop(): Promise<void>
}

const GRACE_MS = 3000

/** Starts a program in a process group of its own. */
export function startProgram(
  [command = '', ...args]: readonly string[],
  env: Environment,
  cwd: string,
): Program {
  const child = spawn(command, args, {
    cwd,
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let complaints = ''
  child.on('error', (error) => {
    complaints += error.message
  })
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const kill = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // it has exited already
    }
  }
  return {
    lines,
    complaints: () => complaints,
    stop: async () => {
      if (child.pid === undefined) return
      const ended =
        child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      kill('SIGTERM')
      const patience = setTimeout(kill, GRACE_MS, 'SIGKILL')
      await ended
      clearTimeout(patience)
      kill('SIGKILL') // what it left behind
    },
  }
}
