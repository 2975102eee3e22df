import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from '../versions.ts'

/**
 * The shell commands that the README gives below a heading, one text for each block, so that a test runs what an
 * operator reads.
 *
 * @throws Error where the heading is not there, or has no commands
 */
export async function commandsOf(heading: string): Promise<readonly string[]> {
  const readme = await readFile(join(REPOSITORY, 'README.md'), 'utf8')
  const [, after] = readme.split(new RegExp(`^#+ ${heading}$`, 'm'))
  const chapter = after?.split(/^#+ /m)[0] ?? ''
  // The blocks of a list's items are indented.
  const blocks = [...chapter.matchAll(/^( *)```sh\n([^]*?)^ *```$/gm)]
  const commands = blocks.map(([, indent = '', text = '']) =>
    text.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trim(),
  )
  if (commands.length === 0) throw new Error(`README.md has no commands below "${heading}"`)
  return commands
}
