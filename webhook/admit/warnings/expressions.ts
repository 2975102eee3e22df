import { PERMITTED_ROLES } from '../../../contract/names.ts'
import { quoted } from '../wording.ts'

/** Unlikely to be intended in an expression for role ARNs, and what was probably meant. */
const MISTAKES: readonly (readonly [RegExp, string])[] = [
  [/\s/, 'it has white space inside, which role ARNs never have; separate alternatives by |'],
  [
    /(?<!\\)[/:]\*/,
    'in an expression, /* means any number of slashes; as in a glob, anything is .*, as in role/team-a/.*',
  ],
  [/^\[\s*"/, 'it is a JSON list, not an expression; separate alternatives by |'],
]

/** The literal prefix: no special characters, and none made optional by what follows. */
const LITERAL = /^(?:[\w/:=,@-](?![*?{]))+/
const BEGIN = 'arn:aws'

/**
 * Warns of a valid expression for roles that matches no role ARN, or others than intended, such as globs, lists and
 * short names from other injectors. It may still be intended, so it is not refused.
 */
export function expressionWarnings(expression: string | undefined): readonly string[] {
  const text = expression?.trim() ?? ''
  if (text === '') return []
  const mistake = MISTAKES.find(([pattern]) => pattern.test(text))
  const why = mistake?.[1] ?? whyNeverAnArn(text)
  return why === undefined ? [] : [`nocreds: ${PERMITTED_ROLES} is ${quoted(text)}: ${why}`]
}

/** Only if the alternatives are easy to tell apart. */
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
