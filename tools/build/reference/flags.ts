import { FLAGS as AUTHORITY_FLAGS } from '../../../authority/config.ts'
import { FLAGS as DRIVER_FLAGS } from '../../../driver/config.ts'
import type { Flag } from '../../../shared/server/flags.ts'
import { FLAGS as WEBHOOK_FLAGS } from '../../../webhook/config.ts'
import { code, codeOrNothing, header, section, table } from './markdown.ts'

function flagTable(flags: object): string {
  const rows = Object.entries(flags as Readonly<Record<string, Flag<unknown>>>).map(
    ([name, { help, kind, required, default: standard }]) => [
      code(`--${name}`),
      help,
      kind.allowed,
      required === true
        ? 'required'
        : codeOrNothing(standard === undefined ? '' : kind.format(standard)),
    ],
  )
  return table(['flag', 'what', 'allowed', 'default'], rows)
}

export function flagsPage(): string {
  return [
    header(
      'Flags',
      'All servers print their flags with `--help`. An unknown flag, or a value that is not allowed, ends the program with exit code 2 and a message that says what is allowed. An empty value counts as not given. Flags that come from the ConfigMap `nocreds-settings` are in [settings](settings.md).',
    ),
    section('Webhook', flagTable(WEBHOOK_FLAGS)),
    section('Authority', flagTable(AUTHORITY_FLAGS)),
    section('Driver', flagTable(DRIVER_FLAGS)),
  ].join('')
}
