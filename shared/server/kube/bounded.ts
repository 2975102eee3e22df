import type { IncomingMessage } from 'node:http'
import { AnswerTooLargeError, type KubeList, type WatchEvent } from './kube-client.ts'

/**
 * Reads responses of the apiserver up to a limit, because tenants write most of their content.
 */

/** Bytes that are examined of a response that is too large: the part before anything that a tenant wrote. */
const HEAD_BYTES = 4096

/** Reads the complete text of a response. @throws AnswerTooLargeError; errors of the stream */
export async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    chunks.push(chunk)
    if (size <= maxBytes) continue
    response.destroy()
    const message = `the response of the apiserver is too large; allowed: at most ${maxBytes} bytes`
    throw new AnswerTooLargeError(message, listMetadata(headOf(chunks)))
  }
  return Buffer.concat(chunks, size).toString('utf8')
}

/**
 * Passes each line of a watch on as an event; a line over the limit as a `TOO_LARGE` event.
 *
 * @throws AnswerTooLargeError if such a line does not identify its object; errors of the stream
 */
export async function readEvents(
  response: IncomingMessage,
  maxBytes: number,
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  let parts: Buffer[] = []
  let size = 0
  const add = (part: Buffer): void => {
    size += part.length
    // Only the beginning of a line that is too large is kept.
    if (size <= maxBytes || parts.length === 0) parts.push(part)
  }
  const endLine = (): void => {
    const line = parts
    const isTooLarge = size > maxBytes
    const isEmpty = size === 0
    parts = []
    size = 0
    if (isEmpty) return
    if (isTooLarge) onEvent(tooLargeEvent(headOf(line), maxBytes))
    else onEvent(JSON.parse(Buffer.concat(line).toString('utf8')) as WatchEvent)
  }
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end))
      endLine()
      from = end + 1
    }
    if (from < chunk.length) add(chunk.subarray(from))
  }
}

function headOf(chunks: readonly Buffer[]): string {
  let head = Buffer.alloc(0)
  for (const chunk of chunks) {
    if (head.length >= HEAD_BYTES) break
    head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)])
  }
  return head.toString('utf8')
}

/** The apiserver writes a list in the order kind, apiVersion, metadata, items. */
function listMetadata(head: string): KubeList['metadata'] | undefined {
  const [, metadata] =
    /^\{(?:"(?:kind|apiVersion)":"[^"]*",)*"metadata":(\{[^{}]*\}),"items":/.exec(head) ?? []
  if (metadata === undefined) return undefined
  try {
    return JSON.parse(metadata) as KubeList['metadata']
  } catch {
    return undefined
  }
}

/** The apiserver writes metadata in the order name, generateName, namespace, uid, resourceVersion, then the rest. */
function tooLargeEvent(head: string, maxBytes: number): WatchEvent {
  const [, texts = ''] =
    /^\{"type":"[A-Z]+","object":\{(?:"(?:kind|apiVersion)":"[^"]*",)*"metadata":\{((?:"\w+":"[^"\\]*",)+)/.exec(
      head,
    ) ?? []
  const fields = Object.fromEntries(
    [...texts.matchAll(/"(\w+)":"([^"]*)",/g)].map(([, key = '', value = '']) => [key, value]),
  )
  const { name, namespace, resourceVersion } = fields
  if (name === undefined || resourceVersion === undefined) {
    throw new AnswerTooLargeError(
      `a line of a watch is too large; allowed: at most ${maxBytes} bytes`,
    )
  }
  const metadata = { name, resourceVersion, ...(namespace === undefined ? {} : { namespace }) }
  return { type: 'TOO_LARGE', object: { metadata } }
}
