import type { Dim } from './types.ts'

/*
 * Dimensions that are not known ahead are expressions in text, canonical enough that equal text means equal sizes: a product of
 * an integer and atoms (`12*N`), an atom being a symbol or a parenthesised expression (`(H+3)`).
 */

interface Monomial {
  factor: number
  atoms: string[]
}

function parse(d: Dim): Monomial {
  if (typeof d === 'number') return { factor: d, atoms: [] }
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < d.length; i++) {
    const c = d[i]
    if (c === '(') depth++
    else if (c === ')') depth--
    else if (c === '*' && depth === 0) {
      parts.push(d.slice(start, i))
      start = i + 1
    }
  }
  parts.push(d.slice(start))
  const factor = /^\d+$/.test(parts[0]) ? Number(parts.shift()) : 1
  return { factor, atoms: parts }
}

function format({ factor, atoms }: Monomial): Dim {
  if (factor === 0 || atoms.length === 0) return factor
  const text = [...atoms].sort().join('*')
  return factor === 1 ? text : `${factor}*${text}`
}

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  const x = parse(a)
  const y = parse(b)
  return format({ factor: x.factor * y.factor, atoms: [...x.atoms, ...y.atoms] })
}

/** a / b, rounded down; exact where the text shows it. */
export function divDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return Math.floor(a / b)
  const x = parse(a)
  const y = parse(b)
  const rest = [...x.atoms]
  for (const atom of y.atoms) {
    const at = rest.indexOf(atom)
    if (at < 0) return `(${a}/${b})`
    rest.splice(at, 1)
  }
  if (y.factor === 0 || x.factor % y.factor !== 0) return `(${a}/${b})`
  return format({ factor: x.factor / y.factor, atoms: rest })
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (typeof a === 'number') return addConstant(b as string, a)
  if (typeof b === 'number') return addConstant(a, b)
  if (a === b) return mulDims(2, a)
  return a < b ? `(${a}+${b})` : `(${b}+${a})`
}

function addConstant(d: string, c: number): Dim {
  if (c === 0) return d
  const match = /^\((.*)([+-]\d+)\)$/.exec(d)
  if (match !== null && balanced(match[1])) {
    const sum = Number(match[2]) + c
    return sum === 0 ? match[1] : `(${match[1]}${sum < 0 ? sum : `+${sum}`})`
  }
  return `(${d}${c < 0 ? c : `+${c}`})`
}

function balanced(text: string): boolean {
  let depth = 0
  for (const c of text) {
    if (c === '(') depth++
    else if (c === ')' && --depth < 0) return false
  }
  return depth === 0
}

export function subDims(a: Dim, b: Dim): Dim {
  if (a === b) return 0
  if (typeof b === 'number') return addDims(a, -b)
  return `(${a}-${b})`
}

export function ceilDivDims(a: Dim, b: number): Dim {
  if (typeof a === 'number') return Math.ceil(a / b)
  return b === 1 ? a : divDims(addDims(a, b - 1), b)
}

export function product(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(mulDims, 1)
}

/** One dimension of a broadcast of both. @returns undefined when two numbers contradict each other */
export function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a
  if (a === 1) return b
  if (typeof a === 'number') return typeof b === 'number' ? undefined : a
  if (typeof b === 'number') return b
  return a < b ? `(${a}|${b})` : `(${b}|${a})`
}

/** Shape of the broadcast of `shapes`, as numpy broadcasts. @returns undefined when they do not go together */
export function broadcastShape(...shapes: Dim[][]): Dim[] | undefined {
  const rank = Math.max(0, ...shapes.map(s => s.length))
  const result: Dim[] = new Array(rank).fill(1)
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i
      const d = broadcastDim(result[at], shape[i])
      if (d === undefined) return undefined
      result[at] = d
    }
  }
  return result
}

export function isStatic(shape: readonly Dim[]): shape is number[] {
  return shape.every(d => typeof d === 'number')
}

export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i])
}
