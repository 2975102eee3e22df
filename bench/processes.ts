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
  readonly metricsPort: number
  stop(): Promise<void>
}

export interface StartOptions {
  /** Of `node`: its own flags, the program, the program's flags. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Stdout goes there without any reader in between; for the webhook it is the log. */
  readonly logFile: string
}

/**
 * Starts a program and waits for the line of JSON on its stdout that names its port.
 *
 * @throws Error where it ends without one
 */
export async function startNode({ args, env = {}, logFile }: StartOptions): Promise<Running> {
  const log = openSync(logFile, 'w')
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', log, 'inherit', 'ipc'],
  })
  closeSync(log)
  const { port, metricsPort } = await portsOf(child, logFile)
  return {
    child,
    pid: child.pid ?? 0,
    port,
    metricsPort,
    async stop() {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
    },
  }
}

interface Ports {
  readonly port: number
  readonly metricsPort: number
}

async function portsOf(child: ChildProcess, logFile: string): Promise<Ports> {
  for (;;) {
    const text = await readFile(logFile, 'utf8')
    const line = text.split('\n').find((one) => one.includes('"port":') && one.endsWith('}'))
    if (line !== undefined) return { metricsPort: 0, ...(JSON.parse(line) as { port: number }) }
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')}: ended, ${text}`)
    await pause(2)
  }
}

/** Resident memory in MB (10⁶ bytes). Source: proc(5), /proc/pid/status. */
export async function residentMb(pid: number): Promise<number> {
  return (await fieldKb(pid, 'VmRSS')) / 1000
}

/** The most that it ever was, in MB. */
export async function peakResidentMb(pid: number): Promise<number> {
  return (await fieldKb(pid, 'VmHWM')) / 1000
}

async function fieldKb(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? []
  return Number(kibibytes) * 1.024
}
