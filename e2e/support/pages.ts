import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from '../versions.ts'

/**
 * The shell commands of a page below a heading, one text for each block, so that a test runs what an
 * operator reads.
 *
 * @param page path in the repository, such as `docs/operations.md`
 * @throws Error if the heading is not there, or has no commands
 */
export async function commandsOf(page: string, heading: string): Promise<readonly string[]> {
  const text = await readFile(join(REPOSITORY, page), 'utf8')
  const [, after] = text.split(new RegExp(`^#+ ${heading}$`, 'm'))
  const chapter = after?.split(/^#+ /m)[0] ?? ''
  // The blocks of a list's items are indented.
  const blocks = [...chapter.matchAll(/^( *)```sh\n([^]*?)^ *```$/gm)]
  const commands = blocks.map(([, indent = '', block = '']) =>
    block.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trim(),
  )
  if (commands.length === 0) throw new Error(`${page} has no commands below "${heading}"`)
  return commands
}
