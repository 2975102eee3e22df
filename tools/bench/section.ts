/** What one measurement says: a goal, what came out, and the lines that stand behind it. */
export interface Section {
  readonly title: string
  readonly goal: string
  readonly measured: string
  readonly verdict: 'reached' | 'missed'
  readonly detail: readonly string[]
}
