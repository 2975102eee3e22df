/** Programs that are measured, each a process of its own, as an operator starts it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

export interface StartOptions {
  /** Of `node`: its own flags, the program, the program's flags. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Stdout goes there without any reader in between; for the webhook it is the log. */
  readonly logFile: string
  /** Gives the port once the program can be used, and undefined before. */
  readonly ready: () => Promise<number | undefined>
}

/**
 * Starts a program and waits until it can be used.
 *
 * @throws Error if it ends before
 */
export async function startNode(options: StartOptions): Promise<Running> {
  const { args, env = {}, logFile, ready } = options
  const log = openSync(logFile, 'w')
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', log, 'inherit', 'ipc'],
  })
  closeSync(log)
  let port: number | undefined
  while ((port = await ready()) === undefined) {
    if (child.exitCode !== null) throw new Error(`ended: ${child.spawnargs.join(' ')}`)
    await pause(2)
  }
  return {
    child,
    pid: child.pid ?? 0,
    port,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Ready as a program of this folder says it: by a line of JSON that names its port. */
export function portInLog(logFile: string): () => Promise<number | undefined> {
  return async () => {
    const [, port] = /"port":(\d+)\}\n/.exec(await readFile(logFile, 'utf8')) ?? []
    return port === undefined ? undefined : Number(port)
  }
}
