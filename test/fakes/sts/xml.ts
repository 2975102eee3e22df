/** Test double, part of the embedded STS: AWS's query protocol writes XML. Never shipped. */

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** An element's content: text, or elements by name. */
export interface XmlFields {
  readonly [name: string]: string | XmlFields
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#xD;',
}

/** Characters that XML 1.0 cannot hold, escaped or not, become U+FFFD. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replace(/[&<>"'\r]/g, (character) => ESCAPES[character] ?? character)
}

/** `<ActionResponse><ActionResult>…`, as STS answers a request that it grants. */
export function successXml(action: string, result: XmlFields, requestId: string): string {
  return document(`${action}Response`, {
    [`${action}Result`]: result,
    ResponseMetadata: { RequestId: requestId },
  })
}

export interface XmlError {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** `<ErrorResponse><Error>…`; a fault of the server is of type Receiver. */
export function errorXml({ status, code, message }: XmlError, requestId: string): string {
  const type = status >= 500 ? 'Receiver' : 'Sender'
  return document('ErrorResponse', {
    Error: { Type: type, Code: code, Message: message },
    RequestId: requestId,
  })
}

function document(name: string, fields: XmlFields): string {
  return `<${name} xmlns="${NAMESPACE}">${elements(fields)}</${name}>`
}

function elements(fields: XmlFields): string {
  return Object.entries(fields)
    .map(([name, value]) => {
      const content = typeof value === 'string' ? escapeXml(value) : elements(value)
      return `<${name}>${content}</${name}>`
    })
    .join('')
}
