import { PERMITTED_ROLES } from '../../../contract/names.ts'
import { quoted } from '../wording.ts'

/** What no expression for role ARNs means on purpose, and what is most likely meant. */
const MISTAKES: readonly (readonly [RegExp, string])[] = [
  [/\s/, 'it has white space inside, which no role ARN has; separate alternatives by |'],
  [
    /(?<!\\)[/:]\*/,
    'in an expression, /* means any number of slashes; as in a glob, anything is .*, as in role/team-a/.*',
  ],
  [/^\[\s*"/, 'it is no expression but a list in JSON; separate alternatives by |'],
]

/** Characters that mean more than themselves at their place, or make those before them optional. */
const LITERAL = /^(?:[\w/:=,@-](?![*?{]))+/
const BEGIN = 'arn:aws'

/**
 * About a valid expression for roles that can match no role ARN, or other ones than it seems, as where globs, lists
 * or short names of other injectors are taken along. It may still be meant so, so it is not refused.
 */
export function expressionWarnings(expression: string | undefined): readonly string[] {
  const text = expression?.trim() ?? ''
  if (text === '') return []
  const mistake = MISTAKES.find(([pattern]) => pattern.test(text))
  const why = mistake?.[1] ?? whyNeverAnArn(text)
  return why === undefined ? [] : [`nocreds: ${PERMITTED_ROLES} is ${quoted(text)}: ${why}`]
}

/** Only where the alternatives are plain to see. */
function whyNeverAnArn(text: string): string | undefined {
  const alternatives = /[()[\]\\]/.test(text) ? [text] : text.split('|')
  const never = alternatives.find(
    (one) => !canBegin(LITERAL.exec(one.replace(/^\^/, ''))?.[0] ?? ''),
  )
  if (never === undefined) return undefined
  const what = alternatives.length === 1 ? 'it' : `its alternative ${quoted(never)}`
  return `${what} matches no role ARN, which begins with ${BEGIN}, as in arn:aws:iam::111122223333:role/team-a/app`
}

function canBegin(literal: string): boolean {
  return literal.startsWith(BEGIN) || BEGIN.startsWith(literal)
}
