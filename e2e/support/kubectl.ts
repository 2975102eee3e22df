import type { Host } from './host.ts'

/** What the suite asks of the cluster, by kubectl: as an operator does. */
export interface Kubectl {
  /** kubectl with these arguments, given `input` on standard input; returns its output. */
  (args: readonly string[], input?: string): Promise<string>
  /** Applies objects. */
  apply(...objects: readonly object[]): Promise<string>
  /** One object or a list, parsed; the type is the caller's claim. */
  get<T>(args: readonly string[]): Promise<T>
}

/** @param host whose KUBECONFIG names the cluster */
export function kubectlOf(host: Host): Kubectl {
  const kubectl = (args: readonly string[], input?: string): Promise<string> =>
    host.run('kubectl', args, input === undefined ? {} : { input })
  return Object.assign(kubectl, {
    apply: (...objects: readonly object[]) =>
      kubectl(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      ),
    get: async <T>(args: readonly string[]) =>
      JSON.parse(await kubectl(['get', '-o', 'json', ...args])) as T,
  })
}
