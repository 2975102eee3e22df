import { open } from 'node:fs/promises'
import { sleepUnless, type Clock } from '../../shared/base/clock.ts'
import type { NocredsError } from '../../shared/base/errors.ts'
import { readIfPresent } from '../../shared/base/files.ts'

/** All messages of a pod share 12 KiB; half of the 4096 bytes of one container are sufficient. */
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
  // Streaming omits an incomplete character at the end.
  return new TextDecoder().decode(bytes.subarray(0, TERMINATION_MAX_BYTES), { stream: true })
}

/** Writes in place: the kubelet created the file and mounts exactly this one into the container. */
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
/** Never part of a message: a token, a credential document, a key. */
const SECRET = /\bey[\w-]+\.[\w-]+|"SecretAccessKey"|-----BEGIN/

/**
 * Reads what {@link writeTerminationMessage} wrote; undefined if absent or anything else. The gate prints it, and the
 * kubelet shows it to everyone who may read events, so no other file must be accepted.
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

/** Longer than the gate needs to read the message. */
const LINGER_MS = 60_000

/**
 * Waits to be stopped after the termination message is written. The message makes the gate fail, and the kubelet then
 * stops the container. If the process exited without being stopped, a busy node could briefly count it as running with
 * its gate passed, and start the app without credentials. If nothing stops it, it exits after a minute.
 */
export function untilStopped(clock: Clock, signal: AbortSignal): Promise<void> {
  return sleepUnless(clock, LINGER_MS, signal)
}
