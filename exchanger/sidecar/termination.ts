import { open } from 'node:fs/promises'
import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import type { NocredsError } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'

/** A pod's messages share 12 KiB; half of the 4096 that one container may have says it all. */
const TERMINATION_MAX_BYTES = 2048

/**
 * What `kubectl describe pod` shows as the reason: `AccessDenied: STS refused arn:… Hint: …`, at most
 * 2048 bytes. Source: Kubernetes, "Determine the Reason for Pod Failure".
 */
export function terminationMessage({ code, message, hint }: NocredsError): string {
  const whole = `${code}: ${message}${hint === undefined ? '' : `. Hint: ${hint}`}`
  const text = whole.replaceAll(/\p{Cc}+/gu, ' ')
  const bytes = Buffer.from(text)
  if (bytes.length <= TERMINATION_MAX_BYTES) return text
  // Streaming holds back the bytes of a character that was cut in half.
  return new TextDecoder().decode(bytes.subarray(0, TERMINATION_MAX_BYTES), { stream: true })
}

/** Written in place: the kubelet made the file, and mounts that very one into the container. */
export async function writeTerminationMessage(path: string, error: NocredsError): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.truncate()
    await file.writeFile(terminationMessage(error))
  } finally {
    await file.close()
  }
}

/** One line that begins with a code, as {@link terminationMessage} makes it. */
const FORM = /^[A-Za-z][A-Za-z0-9_-]{0,63}: \P{Cc}+$/u
/** What no message holds: a token, a document of credentials, a key. */
const SECRET = /\bey[\w-]+\.[\w-]+|"SecretAccessKey"|-----BEGIN/

/**
 * What {@link writeTerminationMessage} wrote; undefined where there is nothing, or anything else. The gate
 * prints it, and the kubelet shows that to everyone who may read events, so no other file may pass for it.
 */
export async function readTerminationMessage(path: string): Promise<string | undefined> {
  let text: string | undefined
  try {
    text = await readIfPresent(path, TERMINATION_MAX_BYTES)
  } catch {
    return undefined // too large, or not a file
  }
  return text !== undefined && FORM.test(text) && !SECRET.test(text) ? text : undefined
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
