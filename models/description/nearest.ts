/** `; did you mean '…'?` where one of the known names is close, by edits. @see Levenshtein 1966 */
export function nearest(given: string, known: Iterable<string>): string {
  let best: string | undefined
  let least = Math.max(2, Math.floor(given.length / 3)) + 1
  for (const name of known) {
    const d = edits(given.slice(0, 64).toLowerCase(), name.slice(0, 64).toLowerCase())
    if (d < least) [best, least] = [name, d]
  }
  return best === undefined ? '' : `; did you mean '${best}'?`
}

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]
}
