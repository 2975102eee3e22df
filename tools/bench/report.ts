import { readFile } from 'node:fs/promises'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import type { Section } from './section.ts'

/** What the figures were measured on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  readonly v8: string
  readonly openssl: string
  readonly nocreds: string
}

/** This machine. */
export async function machine(): Promise<Machine> {
  const package_ = await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')
  const { version } = JSON.parse(package_) as { version: string }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: totalmem() / 1e9,
    system: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    openssl: process.versions.openssl,
    nocreds: version,
  }
}

/** The page: machine and command, a row for each goal, and what stands behind each. */
export function results(machine: Machine, sections: readonly Section[]): string {
  return [
    '# Results',
    '',
    'Written by `make bench`; do not edit. Figures are medians, with the least and the most in brackets.',
    'Ratios are taken side by side in one run, so a busy neighbour disturbs both sides alike.',
    '',
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb.toFixed(0)} GB, ${machine.system}. The load comes from the same machine.`,
    `Versions: nocreds ${machine.nocreds}, Node ${machine.node}, V8 ${machine.v8}, OpenSSL ${machine.openssl}.`,
    '',
    '| | goal | measured | verdict |',
    '|---|---|---|---|',
    ...sections.map(
      ({ title, goal, measured, verdict }) =>
        `| [${title}](#${anchor(title)}) | ${goal} | ${measured} | **${verdict}** |`,
    ),
    '',
    ...sections.flatMap(({ title, detail }) => [`## ${title}`, '', ...detail, '']),
  ].join('\n')
}

/** The lines of one section on a terminal. */
export function summary({ title, goal, measured, verdict }: Section): string {
  return `${title}: ${verdict}\n  goal      ${goal}\n  measured  ${measured}\n`
}

function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')
}
