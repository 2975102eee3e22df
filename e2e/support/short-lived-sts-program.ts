/**
 * STS with shorter lifetimes than any real STS issues: it passes each question on, and in the answer
 * moves the end of the credentials nearer. Prints a digest of each token that was traded.
 *
 * Environment: `UPSTREAM`, the STS behind it; `LIFETIME_SECONDS`; `PORT`.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

const { UPSTREAM = '', LIFETIME_SECONDS, PORT } = process.env

createServer((request, response) => {
  answer(request.headers, text(request))
    .then(({ status, body }) =>
      response.writeHead(status, { 'content-type': 'text/xml' }).end(body),
    )
    .catch((error: unknown) => response.writeHead(502).end(String(error)))
}).listen(Number(PORT))

async function answer(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  asked: Promise<string>,
): Promise<{ status: number; body: string }> {
  const question = await asked
  const contentType = String(headers['content-type'])
  const answered = await fetch(UPSTREAM, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: question,
  })
  const body = await answered.text()
  const token = new URLSearchParams(question).get('WebIdentityToken') ?? ''
  if (answered.ok) console.log(createHash('sha256').update(token).digest('hex'))
  const end = new Date(Date.now() + Number(LIFETIME_SECONDS) * 1000).toISOString()
  const nearer = body.replace(/<Expiration>[^<]*</, `<Expiration>${end.replace(/\.\d+/, '')}<`)
  return { status: answered.status, body: nearer }
}
