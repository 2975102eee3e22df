import { join } from 'node:path'
import { z } from 'zod'
import { ARTIFACTS } from './cluster/names.ts'

/** What the last run of matrix.test.ts found. */
export const VERDICTS = join(ARTIFACTS, 'matrix.json')

const verdict = z.object({
  app: z.string(),
  delivery: z.string(),
  /** Of the SDK; empty if the app did not report it. */
  version: z.string(),
  works: z.boolean(),
})
export type Verdict = z.infer<typeof verdict>

const NAMES: Readonly<Record<string, string>> = {
  javascript: 'JavaScript v3',
  python: 'Python (boto3)',
  cli: 'AWS CLI v1',
  go: 'Go v2, from `scratch`',
  java: 'Java v2',
}

/**
 * The deliveries that a table of docs/deliveries.md says work, as `SDK: delivery`.
 *
 * @param page with a table whose columns after the first are named by deliveries
 */
export function promisedIn(page: string): string[] {
  const table = page.split('\n| SDK | ')[1]?.split('\n\n')[0] ?? ''
  const [deliveries = [], , ...rows] = table
    .split('\n')
    .map((line) => line.replace(/^\| | \|$/g, '').split(' | '))
  return rows.flatMap(([sdk = '', ...cells]) =>
    deliveries
      .filter((_, at) => cells[at] === 'works')
      .map((delivery) => `${sdk}: ${delivery.replaceAll('`', '')}`),
  )
}

/** The deliveries that worked, as `promisedIn` names them. */
export function workedIn(verdicts: readonly Verdict[]): string[] {
  return verdicts
    .filter(({ works }) => works)
    .map(({ app, delivery }) => `${NAMES[app] ?? app}: ${delivery}`)
}

/**
 * The page e2e/REPORT.md.
 *
 * @param json as matrix.test.ts wrote it
 * @throws SyntaxError, ZodError if it is something else
 */
export function reportOf(json: string): string {
  const rows = z
    .array(verdict)
    .min(1)
    .parse(JSON.parse(json))
    .map(
      ({ app, delivery, version, works }) =>
        `| ${NAMES[app] ?? app} | ${version === '' ? '–' : version} | \`${delivery}\` | ${works ? 'works' : '**fails**'} |`,
    )
  return `# SDK matrix

Written by \`make e2e-matrix-report\`. Each line is a pod on the kind cluster whose program uses its SDK's
default chain alone: it is the role (GetCallerIdentity), puts and gets an object of S3, and is refused
another bucket with AccessDenied. The image from \`scratch\` has no shell, so \`process\` cannot be used in it.

| SDK | version | delivery | verdict |
|---|---|---|---|
${rows.join('\n')}
`
}
