import { stripVTControlCharacters } from 'node:util'

/** `1.2 MB`: powers of 1000, as disks and networks count. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let unit = 0
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000
    unit++
  }
  return `${unit === 0 || n >= 99.5 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`
}

/** `2 h 05 min`, `3 min 20 s`, `12 s`; of milliseconds. */
export function time(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** `12,345`, the same in every locale. */
export function count(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Four significant digits, without a long tail for small or large values. */
export function figure(x: number): string {
  if (!Number.isFinite(x)) return String(x)
  const magnitude = Math.abs(x)
  if (magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e5)) return x.toExponential(2)
  return x.toPrecision(4)
}

/** `97.31 %` of a share in [0, 1]. */
export function percent(share: number, digits = 2): string {
  return `${(share * 100).toFixed(digits)} %`
}

/** Columns as wide as their widest cell, two spaces between; the last one unpadded. */
export function table(head: string[], rows: string[][]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map(row => width(row[i] ?? ''))))
  return all.map(row =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] as number) - width(cell))))
      .join('  ')
      .trimEnd()
  )
}

/** Printed width, colours left out. */
export function width(text: string): number {
  return stripVTControlCharacters(text).length
}

/** The end of a peer id, which tells peers apart; their beginnings are alike. */
export function short(peer: string): string {
  return peer.length <= 12 ? peer : `…${peer.slice(-8)}`
}

/** `text` without control characters, so that what a peer wrote cannot drive the terminal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, ' ')
}

/** At most `columns` wide, the cut shown; of text without colours. */
export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
}
