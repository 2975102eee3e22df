import { writeFile } from 'node:fs/promises'
import type { NocredsError } from '../../platform/errors.ts'

/** A pod's messages share 12 KiB; half of the 4096 that one container may have says it all. */
export const TERMINATION_MAX_BYTES = 2048

/**
 * What `kubectl describe pod` shows as the reason: `AccessDenied: STS refused arn:… Hint: …`, at most
 * 2048 bytes. Source: Kubernetes, "Determine the Reason for Pod Failure".
 */
export function terminationMessage({ code, message, hint }: NocredsError): string {
  const text = `${code}: ${message}${hint === undefined ? '' : `. Hint: ${hint}`}`
  const bytes = Buffer.from(text)
  if (bytes.length <= TERMINATION_MAX_BYTES) return text
  // Streaming holds back the bytes of a character that was cut in half.
  return new TextDecoder().decode(bytes.subarray(0, TERMINATION_MAX_BYTES), { stream: true })
}

/** Written in place: the kubelet mounts the very file into the container. */
export async function writeTerminationMessage(path: string, error: NocredsError): Promise<void> {
  await writeFile(path, terminationMessage(error))
}
