/** What Linux says of a process. Source: proc(5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const KIB_PER_MIB = 1024

/** Anonymous memory in MiB: what is the process's own, and cannot be read back from a file. */
export function anonymousMiB(pid: number): number {
  return field(pid, 'status', 'RssAnon') / KIB_PER_MIB
}

/** The same, with pages that are shared with a forked process counted in part. */
export function proportionalAnonymousMiB(pid: number): number {
  return field(pid, 'smaps_rollup', 'Pss_Anon') / KIB_PER_MIB
}

/** Resident memory in MB (10⁶ bytes), now and at most. */
export function residentMb(pid: number): { readonly now: number; readonly peak: number } {
  const megabytes = (name: string): number => (field(pid, 'status', name) * 1024) / 1e6
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') }
}

/** How often its main thread slept of its own will: once or more for each timer. */
export function sleeps(pid: number): number {
  return field(pid, 'status', 'voluntary_ctxt_switches')
}

/** Milliseconds that its threads ran, from those that are still there. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const ranNs = threads.map((thread) => {
    const [ns = ''] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
    return Number(ns)
  })
  return ranNs.reduce((sum, ns) => sum + ns, 0) / 1e6
}

/** Clock ticks of Linux on every architecture that Node runs on. Source: sysconf(3). */
const TICKS_PER_SECOND = 100

/** CPU time of all threads so far, those that have ended too, in microseconds. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND
}

/** Processes that its main thread started and that have not been waited for; none of one that is gone. */
export function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`
  const pids = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  return pids === '' ? [] : pids.split(' ').map(Number)
}

/** @throws Error if the process is gone or has no such field */
function field(pid: number, file: string, name: string): number {
  const text = readFileSync(`/proc/${pid}/${file}`, 'utf8')
  const [, value] = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text) ?? []
  if (value === undefined) throw new Error(`/proc/${pid}/${file} has no ${name}`)
  return Number(value)
}
