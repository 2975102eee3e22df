/** Test double of the authority: CA, intermediate and leaves by OpenSSL, which knows nothing of our code. */
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Host } from '../support/host.ts'

/** What a pod finds in its folder, in PEM, and the leaf's serial number in upper-case hexadecimal. */
export interface TlsFiles {
  readonly key: string
  /** Leaf, then the intermediate. */
  readonly certificate: string
  readonly trustBundle: string
  readonly serial: string
}

interface LeafRequest {
  readonly id: string
  readonly dnsNames?: readonly string[]
  readonly isExpired?: boolean
}

export interface Pki {
  issue(request: LeafRequest): Promise<TlsFiles>
}

interface SigningRequest {
  readonly name: string
  readonly subject: string
  readonly by: string
  /** From now; -1: it ended yesterday. */
  readonly days: number
  readonly extensions: readonly string[]
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/**
 * A root and an intermediate below it.
 *
 * @param folder of its own; made here
 */
export async function createPki(host: Host, folder: string): Promise<Pki> {
  await mkdir(folder)
  const openssl = (...args: string[]): Promise<string> =>
    host.run('openssl', args, { cwd: folder, timeoutMs: 30_000 })
  const sign = async ({ name, subject, by, days, extensions }: SigningRequest): Promise<void> => {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`]
    await openssl('req', ...NEW_KEY, '-subj', subject, ...files)
    await writeFile(join(folder, `${name}.ext`), extensions.join('\n'))
    const ca = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-days', `${days}`]
    const out = ['-extfile', `${name}.ext`, '-out', `${name}.crt`]
    await openssl('x509', '-req', '-in', `${name}.csr`, ...ca, ...out)
  }
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')

  const rootName = ['-subj', '/CN=root', '-addext', 'keyUsage=critical,keyCertSign']
  await openssl('req', '-x509', ...NEW_KEY, ...rootName, '-keyout', 'root.key', '-out', 'root.crt')
  await sign({
    name: 'intermediate',
    subject: '/CN=intermediate',
    by: 'root',
    days: 1,
    extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'],
  })
  let issued = 0

  return {
    issue: async ({ id, dnsNames = [], isExpired = false }) => {
      issued += 1
      const name = `leaf-${issued}`
      const names = [`URI:${id}`, ...dnsNames.map((dns) => `DNS:${dns}`)].join(',')
      await sign({
        name,
        subject: '/',
        by: 'intermediate',
        days: isExpired ? -1 : 1,
        extensions: [
          'basicConstraints=critical,CA:FALSE',
          'keyUsage=critical,digitalSignature',
          'extendedKeyUsage=clientAuth,serverAuth',
          `subjectAltName=critical,${names}`,
        ],
      })
      const leaf = await read(`${name}.crt`)
      return {
        key: await read(`${name}.key`),
        certificate: leaf + (await read('intermediate.crt')),
        trustBundle: await read('root.crt'),
        serial: new X509Certificate(leaf).serialNumber,
      }
    },
  }
}
