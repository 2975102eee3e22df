import { writeFile } from 'node:fs/promises'
import { sleepUnless, type Clock } from '../../platform/clock.ts'
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

/** Longer than the gate stays open for its reason. */
const LAST_MOMENTS_MS = 60_000

/**
 * What a process does once its message is left: it waits to be stopped. The message shuts the gate, on which
 * the kubelet ends the container. A process that ended by itself would leave a moment in which a busy node
 * still counts it as running with its gate behind it, and starts the app without credentials. Only where
 * nobody ends it, it ends after a minute.
 */
export function untilStopped(clock: Clock, signal: AbortSignal): Promise<void> {
  return sleepUnless(clock, LAST_MOMENTS_MS, signal)
}
