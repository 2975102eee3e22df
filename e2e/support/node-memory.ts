import type { Host } from './host.ts'
import { onNode } from './node.ts'

/** A container whose memory is watched. */
export interface Watched {
  /** POD/CONTAINER, for messages. */
  readonly name: string
  /** As in a pod's status, `containerd://…`. */
  readonly containerId: string
}

/** What a container needed at most, in bytes. */
export interface Peak {
  readonly name: string
  /**
   * What the kernel charges to the container's memory limit, less the page cache that it takes back before it ends
   * a process: anonymous memory, shared memory, buffers of sockets, and the kernel's own.
   */
  readonly chargedBytes: number
  /** Most resident memory of its process by the kernel's own record (VmHWM), pages of the Node binary included. */
  readonly residentBytes: number
  /** How often the former was looked at, once a second. */
  readonly samples: number
}

/** Times that the node is asked before the test has a word again. */
const SAMPLES_AT_ONCE = 5

/**
 * For each container a line `ID CHARGED RESIDENT`, once a second. Version 1 of cgroups has a hierarchy for memory,
 * version 2 one for everything. A container that has ended has no folder, and so no line.
 */
const SAMPLE = `
cgroups=/sys/fs/cgroup; usage=memory.current; stat=
if [ -d $cgroups/memory ]; then cgroups=$cgroups/memory; usage=memory.usage_in_bytes; stat=total_; fi
times=$1; shift
folders=
for id in "$@"; do folders="$folders $id=$(find $cgroups -type d -name "*$id*" | head -n 1)"; done
while [ "$times" -gt 0 ]; do
  for one in $folders; do
    id=\${one%%=*}; folder=\${one#*=}
    used=$(cat "$folder/$usage" 2>/dev/null) || continue
    cache=$(awk -v p="$stat" '$1 == p "inactive_file" || $1 == p "active_file" { n += $2 } END { print n + 0 }' "$folder/memory.stat")
    most=$(cat $(sed 's#.*#/proc/&/status#' "$folder/cgroup.procs") 2>/dev/null | awk '$1 == "VmHWM:" && $2 > n { n = $2 } END { print n * 1024 }')
    echo "$id $((used - cache)) $most"
  done
  times=$((times - 1))
  sleep 1
done
`

/** Watches the memory of containers while `work` runs; returns its result and what each container needed at most. */
export async function memoryDuring<T>(
  host: Host,
  containers: readonly Watched[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly peaks: readonly Peak[] }> {
  const done = new AbortController()
  const working = work().finally(() => {
    done.abort()
  })
  const lines: string[] = []
  const watched = containers.map(({ name, containerId }) => ({
    name,
    id: containerId.replace('containerd://', ''),
  }))
  const ids = watched.map(({ id }) => id)
  const watching = (async () => {
    while (!done.signal.aborted) {
      const said = await onNode(host, 'sh', '-c', SAMPLE, 'sample', String(SAMPLES_AT_ONCE), ...ids)
      lines.push(...said.split('\n'))
    }
  })()
  const [result] = await Promise.all([working, watching])
  const peaks = watched.map(({ name, id }) => peakOf(name, linesOf(lines, id)))
  return { result, peaks }
}

function linesOf(lines: readonly string[], id: string): [number, number][] {
  return lines.flatMap((line) => {
    const [of, charged, resident] = line.split(' ')
    return of === id ? [[Number(charged), Number(resident)] as [number, number]] : []
  })
}

function peakOf(name: string, samples: readonly [number, number][]): Peak {
  const most = (which: 0 | 1): number => Math.max(0, ...samples.map((sample) => sample[which]))
  return { name, chargedBytes: most(0), residentBytes: most(1), samples: samples.length }
}
