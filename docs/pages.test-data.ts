import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const REPOSITORY = join(import.meta.dirname, '..')

export function read(file: string): string {
  return readFileSync(join(REPOSITORY, file), 'utf8')
}

/** Every page of the repository, by its path. */
export const PAGES: readonly string[] = globSync('{*.md,{docs,.github}/**/*.md,*/**/*.md}', {
  cwd: REPOSITORY,
  exclude: (path) => /node_modules|dist|coverage|\.git$/.test(path),
}).sort()

/** Those that are written by hand for users, operators and developers. */
export const HAND_WRITTEN: readonly string[] = PAGES.filter(
  (page) => /^(?:[A-Z]+\.md|docs\/[\w-]+\.md|\.github\/.*)$/.test(page) && page !== 'CHANGELOG.md',
)

/** The part of a page below a heading, up to the next of the same level or above. */
export function chapterOf(page: string, heading: string): string {
  const lines = read(page).split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  if (start === -1) throw new Error(`${page} has no heading "${heading}"`)
  const level = lines[start]?.indexOf(' ') ?? 0
  const rest = lines.slice(start + 1)
  const end = rest.findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level)
  return rest.slice(0, end === -1 ? undefined : end).join('\n')
}

export interface Block {
  readonly language: string
  readonly text: string
}

/** Fenced blocks, without the indentation that they have in a list. */
export function blocksIn(text: string): Block[] {
  return [...text.matchAll(/^( *)```(\w*)\n([^]*?)^ *```$/gm)].map(
    ([, indent = '', language = '', block = '']) => ({
      language,
      text: block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  )
}

/** The commands of a shell block: one each, with continued lines joined and comments left out. */
export function commandsIn({ text }: Block): string[] {
  return text
    .replaceAll(/ *\\\n\s*/g, ' ')
    .split('\n')
    .map((line) =>
      line
        .replace(/(?:^|\s+)# .*$/, '')
        .replaceAll(/ +/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')
}
