/**
 * ESLint rule: the imports at the top of a file are sorted. Node's modules come first, then packages, then our
 * own files, the farthest first; by path in each group.
 */
export default {
  meta: {
    type: 'layout',
    fixable: 'code',
    schema: [],
    messages: { unsorted: 'imports are not sorted: Node, packages, own files, each by path' },
  },
  create(context) {
    const { sourceCode } = context
    return {
      Program({ body }) {
        const end = body.findIndex(({ type }) => type !== 'ImportDeclaration')
        const imports = end < 0 ? body : body.slice(0, end)
        const sorted = imports.toSorted((a, b) => compare(keyOf(a), keyOf(b)))
        const first = imports.findIndex((one, place) => one !== sorted[place])
        if (first < 0) return
        context.report({
          node: imports[first],
          messageId: 'unsorted',
          fix(fixer) {
            const range = [imports[0].range[0], imports.at(-1).range[1]]
            const hasComment = sourceCode
              .getAllComments()
              .some((one) => one.range[0] > range[0] && one.range[1] < range[1])
            // A comment belongs to one of them; only a person knows to which.
            if (hasComment) return null
            const text = sorted.map((one) => sourceCode.getText(one)).join('\n')
            return fixer.replaceTextRange(range, text)
          },
        })
      },
    }
  },
}

/** `.` sorts before letters, and `../` before `./`, so paths compare as they stand. */
function keyOf({ source: { value } }) {
  const group = value.startsWith('node:') ? 0 : value.startsWith('.') ? 2 : 1
  return `${group}${value}`
}

function compare(one, other) {
  return one < other ? -1 : Number(one > other)
}
