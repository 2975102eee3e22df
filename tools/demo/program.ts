/** The built programs as processes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const DIST = join(import.meta.dirname, '../../dist')

/** A program of `dist/` that runs with these flags and this env, and nothing else. */
export function startProgram(
  name: 'webhook' | 'authority',
  flags: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const words = [join(DIST, `${name}.mjs`), ...Object.entries(flags).flat()]
  return endsWithDemo(spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] }))
}

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** The process ends with the demo at the latest, also if that takes too long. @returns it */
export function endsWithDemo<Child extends ChildProcess>(child: Child): Child {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** The port in the log line that says that it is listening. @throws Error if it ends before */
export function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const seen: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        seen.push(line)
        if (line.includes(' listening"')) resolve((JSON.parse(line) as { port: number }).port)
      })
    }
    child.once('error', reject)
    child.once('exit', (code) => {
      reject(new Error(`a program ended with ${String(code)}: ${seen.slice(-3).join(' ')}`))
    })
  })
}

/** By SIGTERM; resolves once it is gone. */
export async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}
