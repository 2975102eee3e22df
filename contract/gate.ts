import { TLS_FILES, TLS_VOLUME } from './certificates.ts'
import { CREDENTIALS_FILES, CREDENTIALS_VOLUME } from './names.ts'

/** What a sidecar was asked for; one of both at least. */
export interface Asked {
  readonly credentials: boolean
  readonly certificate: boolean
}

/**
 * The command of the sidecar's startup probe: ends well once everything that was asked for is there.
 * It needs no shell. Source: POSIX, "test".
 */
export function gateOf({ credentials, certificate }: Asked): string[] {
  const files = [
    ...(credentials ? [`${CREDENTIALS_VOLUME.mountPath}/${CREDENTIALS_FILES.document}`] : []),
    ...(certificate ? [`${TLS_VOLUME.mountPath}/${TLS_FILES.certificate}`] : []),
  ]
  const conditions = files.flatMap((file) => ['-a', '-e', file])
  return ['test', ...conditions.slice(1)]
}
