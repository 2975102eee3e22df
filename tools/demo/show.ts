/** What the demo prints: steps, facts, diffs; colours only on a terminal. */
import { createTwoFilesPatch } from 'diff'
import { stringify } from 'yaml'

const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const paint = (code: number, text: string): string =>
  colours ? `\u001b[${code}m${text}\u001b[0m` : text
const startedAt = performance.now()

export function step(title: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)
  console.log(`\n${paint(1, `${seconds} s  ${title}`)}`)
}

export function say(text: string, who = ''): void {
  const prefix = who === '' ? '' : `[${who}] `.padEnd(15)
  console.log(`         ${paint(36, prefix)}${text}`)
}

/** Two objects as YAML, as `diff -u` shows them. */
export function showDiff(before: unknown, after: unknown): void {
  const yaml = (value: unknown): string =>
    stringify(value, { lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false })
  const patch = createTwoFilesPatch('pod as applied', 'pod as admitted', yaml(before), yaml(after))
  for (const line of patch.split('\n').slice(1)) {
    if (line.startsWith('+')) say(paint(32, line))
    else if (line.startsWith('-')) say(paint(31, line))
    else if (line !== '') say(line)
  }
}
