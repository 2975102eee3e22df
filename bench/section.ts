/** One line of the results: a goal, what was measured, and whether that reaches it. */
export interface Section {
  readonly title: string
  readonly goal: string
  readonly measured: string
  readonly verdict: 'reached' | 'missed'
  readonly detail: readonly string[]
}
