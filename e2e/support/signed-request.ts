import { createHash, createHmac } from 'node:crypto'

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of keys of a role. */
  readonly sessionToken?: string
}

export interface SignedRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  /** Name of the AWS service in the signature: `iam`, `sts`, `s3`. */
  readonly service: string
  readonly body?: string
}

const REGION = 'us-east-1'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest()

/**
 * The headers of a request to AWS. Source: AWS, "Create a signed AWS API request" (Signature Version 4).
 * Only for URLs without a query and with paths that need no encoding.
 */
function signedHeaders(
  { method, url, service, body = '' }: SignedRequest,
  keys: Keys,
  nowMs: number,
): Record<string, string> {
  const { host, pathname } = new URL(url)
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const payload = sha256(body)
  const headers: Record<string, string> = {
    host,
    'x-amz-content-sha256': payload,
    'x-amz-date': time,
    ...(keys.sessionToken !== undefined && { 'x-amz-security-token': keys.sessionToken }),
  }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const request = [method, pathname, '', lines.join(''), names, payload].join('\n')
  const scope = `${day}/${REGION}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n')
  const key = [day, REGION, service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${keys.secretAccessKey}`,
  )
  const signature = hmac(key, toSign).toString('hex')
  const credential = `Credential=${keys.accessKeyId}/${scope}`
  headers['authorization'] =
    `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${signature}`
  return headers
}

/**
 * Sends a signed request, and returns the body of the answer.
 *
 * @throws Error with status and body if the status is not 2xx
 */
export async function sendSigned(
  request: SignedRequest,
  keys: Keys,
  nowMs: number,
): Promise<string> {
  const headers = signedHeaders(request, keys, nowMs)
  if (request.method === 'POST') headers['content-type'] = 'application/x-www-form-urlencoded'
  const answer = await fetch(request.url, {
    method: request.method,
    headers,
    ...(request.body === undefined ? {} : { body: request.body }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${request.method} ${request.url}: ${answer.status} ${text}`)
  return text
}
