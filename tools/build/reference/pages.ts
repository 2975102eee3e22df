import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { annotationsPage } from './annotations.ts'
import { eventsPage } from './events.ts'
import { flagsPage } from './flags.ts'
import { metricsPage } from './metrics.ts'
import { reasonsPage } from './reasons.ts'
import { settingsPage } from './settings.ts'

const REPOSITORY = join(import.meta.dirname, '../../..')
const MANIFESTS = join(REPOSITORY, 'manifests')
export const REFERENCE = join(REPOSITORY, 'docs/reference')

/** The pages of docs/reference as the code has them, by file name. */
export function referencePages(): Readonly<Record<string, string>> {
  const guard = globSync('guard/*.yaml', { cwd: MANIFESTS })
  return {
    'annotations.md': annotationsPage(),
    'events.md': eventsPage(),
    'flags.md': flagsPage(),
    'metrics.md': metricsPage(),
    'reasons.md': reasonsPage(),
    'settings.md': settingsPage((path) => readFileSync(join(MANIFESTS, path), 'utf8'), guard),
  }
}
