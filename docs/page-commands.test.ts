/** Every command that a page shows is run by a test or tool, or has a reason why it is not. */
import { spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { freePort } from '../test/fakes/free-port.ts'
import { recordOutput } from '../test/leak-check.ts'
import { bundlePrograms } from '../tools/build/programs.ts'
import { BEGINNINGS, COMMANDS } from './page-commands.test-data.ts'
import { blocksIn, chapterOf, commandsIn, PAGES, read, REPOSITORY } from './pages.test-data.ts'

const SHELL = ['sh', 'bash', 'shell', 'console']
const shown = PAGES.flatMap((page) =>
  blocksIn(read(page))
    .filter(({ language }) => SHELL.includes(language))
    .flatMap((block) => commandsIn(block).map((command) => ({ page, command }))),
)

function known(command: string): (typeof COMMANDS)[string] | undefined {
  const begins = Object.keys(BEGINNINGS).find((one) => command.startsWith(one))
  return COMMANDS[command] ?? (begins === undefined ? undefined : BEGINNINGS[begins])
}

describe('the commands of the pages', () => {
  test.each(shown)('$page: $command', ({ command }) => {
    const entry = known(command)
    expect(entry === undefined ? `not in COMMANDS: ${command}` : '').toBe('')
    if (entry === undefined || 'why' in entry) return
    expect(read(entry.by)).toContain(entry.as)
  })

  test('the list has no other command', () => {
    const commands = shown.map(({ command }) => command)
    expect(Object.keys(COMMANDS).filter((one) => !commands.includes(one))).toEqual([])
    for (const one of Object.keys(BEGINNINGS))
      expect(commands.some((command) => command.startsWith(one))).toBe(true)
  })

  test('comments and continued lines are not commands', () => {
    const block = { language: 'sh', text: '# why\na b   # c\nd \\\n  e # f\necho "x#y"\n' }
    expect(commandsIn(block)).toEqual(['a b', 'd e', 'echo "x#y"'])
  })
})

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nocreds-pages-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('make help lists every command with its text', () => {
  const { stdout, status } = spawnSync('make', ['help'], { cwd: REPOSITORY, encoding: 'utf8' })
  expect(status).toBe(0)
  expect(stdout).toMatch(/^docs +write docs\/reference/m)
})

/** The shell block of a chapter that has a text. */
function blockWith(chapter: string, part: string): string {
  const found = blocksIn(chapter).find(
    ({ language, text: block }) => language === 'sh' && block.includes(part),
  )
  if (found === undefined) throw new Error(`no block with ${part}`)
  return found.text
}

test('the CA and the client certificate for the apiserver fit together', async () => {
  const chapter = chapterOf('docs/install.md', 'Authenticate the apiserver to the webhook')
  const script = blockWith(chapter, 'openssl')
  const { status, stderr } = spawnSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8' })
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  const [ca, client] = await Promise.all(
    ['client-ca.crt', 'client.crt'].map(
      async (name) => new X509Certificate(await readFile(join(folder, name))),
    ),
  )
  expect(ca?.ca).toBe(true)
  expect(client?.checkIssued(ca!)).toBe(true)
  expect(client?.verify(ca!.publicKey)).toBe(true)
  expect(client?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']) // clientAuth
})

test('the webhook answers without a cluster', async () => {
  await bundlePrograms(folder, ['webhook.mjs'])
  const chapter = chapterOf('docs/install.md', 'Try the webhook without a cluster')
  const port = await freePort()
  const script = blockWith(chapter, 'npm run webhook')
    .replace('npm ci && npm run build\n', '')
    .replaceAll('/tmp/nocreds', folder)
    .replace('npm run certificate --', `${process.execPath} tools/build/certificate.ts`)
    .replace('npm run webhook --', `${process.execPath} ${folder}/webhook.mjs`)
    .replace(' &\n', ` --port ${port} --metrics-port 0 >&2 &\n`)
    .replace(':8443', `:${port}`)
  expect(script).not.toMatch(/npm|8443/)
  const child = spawn('sh', ['-ec', `${script}\nkill $!\nwait`], { cwd: REPOSITORY })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  recordOutput(stdout + stderr)
  const answer = /\{.*\}/.exec(stdout)?.[0] ?? stderr
  const { response } = JSON.parse(answer) as { response: { allowed: boolean; patch: string } }
  expect(response.allowed).toBe(true)
  expect(Buffer.from(response.patch, 'base64').toString()).toContain('nocreds-exchanger')
})
