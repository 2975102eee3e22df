import { DriverError } from './errors.ts'

/** The folder that a kubelet wants a volume at. */
export interface Target {
  readonly podUid: string
  /** Name of the volume in the pod. */
  readonly volume: string
}

/** `/<uid>/volumes/kubernetes.io~csi/<volume name>/mount`, below the folder of all pods. */
const BELOW =
  /^\/([a-zA-Z0-9-]{1,64})\/volumes\/kubernetes\.io~csi\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/mount$/

/**
 * @param podsFolder `<kubelet>/pods`, without a slash at its end
 * @throws DriverError ERR_REQUEST for any other path
 */
export function parseTarget(path: string, podsFolder: string): Target {
  const [, podUid, volume] = path.startsWith(podsFolder)
    ? (BELOW.exec(path.slice(podsFolder.length)) ?? [])
    : []
  if (podUid !== undefined && volume !== undefined) return { podUid, volume }
  throw new DriverError(
    'ERR_REQUEST',
    `target_path is not ${podsFolder}/UID/volumes/kubernetes.io~csi/NAME/mount`,
    { hint: "the driver's setting for the kubelet's folder must be that of the node" },
  )
}
