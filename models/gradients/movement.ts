import { has, intAttribute, intsAttribute, stringAttribute } from '../graph/attributes.ts'
import { einsumTerms } from '../shapes/linear.ts'
import { type Rule, type RuleContext, reshape, reshapeLike, sum, unbroadcast } from './rule.ts'
import { applyMatrix, shapeWith, zerosLike } from './shapes.ts'
import { concat, sizeValue } from './windows.ts'

/*
 * Operators that move elements: linear maps whose gradient is the transposed map. What was copied to several places is summed, what
 * was dropped gets zeros.
 */

const back: Rule = c => [reshapeLike(c.e, c.g, c.x())]

function axisOf(c: RuleContext, otherwise: number): number {
  const axis = intAttribute(c.node, 'axis', otherwise)
  return axis < 0 ? axis + c.shape().length : axis
}

const transpose: Rule = c => {
  const perm = intsAttribute(
    c.node,
    'perm',
    c.shape().map((_, i) => c.shape().length - 1 - i)
  )
  const inverse = perm.map((_, i) => perm.indexOf(i))
  return [c.e.op('Transpose', [c.g], { perm: inverse })]
}

const concatenate: Rule = c => {
  const { e } = c
  const axis = axisOf(c, 0)
  const { inputs } = c.node
  if (inputs.length === 1) return [c.g]
  const lengths = concat(
    e,
    inputs.map(x => sizeValue(e, x, axis)),
    0
  )
  const known = e.known(lengths)
  if (known?.every(d => typeof d === 'number')) {
    const parts = e.ops('Split', [c.g, e.ints(known as number[])], { axis }, inputs.length)
    return parts
  }
  // Of unknown length: slices from the running sum of the lengths.
  let start = e.ints([0])
  return inputs.map(x => {
    const end = e.op('Add', [start, sizeValue(e, x, axis)])
    const part = e.op('Slice', [c.g, start, end, e.ints([axis])])
    start = end
    return e.op('Reshape', [part, e.op('Shape', [x])])
  })
}

const split: Rule = c => {
  const parts = c.node.outputs.map((y, i) => c.gradients[i] ?? zerosLike(c.e, y))
  return [concat(c.e, parts, axisOf(c, 0))]
}

/** Slices: back in place axis by axis; a step of 1 pads, any other scatters. */
const slice: Rule = c => {
  const { e } = c
  const rank = c.shape().length
  const starts = e.known(c.x(1))
  const axes = (c.has(3) ? e.known(c.x(3)) : starts?.map((_, i) => i))?.map(a => ((a as number) + rank) % rank)
  const steps = c.has(4) ? e.known(c.x(4)) : axes?.map(() => 1)
  if (axes === undefined || steps === undefined) return c.refuse('its axes and steps are not known ahead')
  const input = c.shape()
  const output = e.shape(c.y)
  const plain = axes.every(
    (a, k) => steps[k] === 1 && typeof input[a] === 'number' && typeof output[a] === 'number' && typeof starts?.[k] === 'number'
  )
  if (plain) {
    const pads = new Array(2 * rank).fill(0)
    axes.forEach((a, k) => {
      const size = input[a] as number
      const start = starts![k] as number
      pads[a] = Math.min(Math.max(start < 0 ? start + size : start, 0), size)
      pads[rank + a] = size - (output[a] as number) - pads[a]
    })
    return [e.op('Pad', [c.g, e.ints(pads)])]
  }
  let g = c.g
  axes.forEach((a, k) => {
    const length = sizeValue(e, c.x(), a)
    const all = e.op('Range', [e.int(0), e.op('Squeeze', [length, e.ints([0])]), e.int(1)])
    const pick = (i: number) => (c.has(i) ? e.op('Slice', [c.x(i), e.ints([k]), e.ints([k + 1])]) : '')
    const taken = e.op('Slice', [all, pick(1), pick(2), e.ints([0]), ...(c.has(4) ? [pick(4)] : [])])
    const column = reshape(e, taken, [-1, ...new Array(rank - 1 - a).fill(1)])
    const at = e.op('Expand', [column, e.op('Shape', [g])])
    const zeros = e.op('ConstantOfShape', [shapeWith(e, g, a, length)])
    g = e.op('ScatterElements', [zeros, at, g], { axis: a })
  })
  return [reshapeLike(e, g, c.x())]
}

const gather: Rule = c => {
  const { e } = c
  const axis = axisOf(c, 0)
  const zeros = zerosLike(e, c.x())
  const at = e.type(c.x(1)).type === 'int64' ? c.x(1) : e.op('Cast', [c.x(1)], { to: 7 })
  if (axis === 0) {
    const rows = e.op('Unsqueeze', [at, e.ints([-1])])
    return [e.op('ScatterND', [zeros, rows, c.g], { reduction: 'add' })]
  }
  const flat = reshape(e, at, [-1, ...new Array(c.shape().length - 1 - axis).fill(1)])
  const count = e.op('Size', [at])
  const g = e.op('Reshape', [c.g, shapeWith(e, c.x(), axis, reshape(e, count, [1]))])
  const everywhere = e.op('Expand', [flat, e.op('Shape', [g])])
  return [e.op('ScatterElements', [zeros, everywhere, g], { axis, reduction: 'add' })]
}

const scatterElements: Rule = c => {
  const axis = axisOf(c, 0)
  const reduction = stringAttribute(c.node, 'reduction', 'none')
  if (reduction !== 'none' && reduction !== 'add') c.refuse(`its reduction is '${reduction}'`)
  const kept = () => (reduction === 'add' ? c.g : c.e.op('ScatterElements', [c.g, c.x(1), zerosLike(c.e, c.x(2))], { axis }))
  return [c.wants(0) ? kept() : undefined, undefined, c.wants(2) ? c.e.op('GatherElements', [c.g, c.x(1)], { axis }) : undefined]
}

const tile: Rule = c => {
  const { e } = c
  const rank = c.shape().length
  const repeats = (i: number) => e.op('Slice', [c.x(1), e.ints([i]), e.ints([i + 1])])
  const apart = concat(
    e,
    c.shape().flatMap((_, i) => [repeats(i), sizeValue(e, c.x(), i)]),
    0
  )
  const known = e.known(apart)
  const open = known?.filter(d => typeof d !== 'number').length ?? 2
  const shape = open <= 1 ? e.ints(known!.map(d => (typeof d === 'number' ? d : -1))) : apart
  return [
    sum(
      e,
      e.op('Reshape', [c.g, shape]),
      Array.from({ length: rank }, (_, i) => 2 * i),
      false
    )
  ]
}

const pad: Rule = c => {
  const { e } = c
  const mode = stringAttribute(c.node, 'mode', 'constant')
  if (c.wants(2)) c.refuse('the value it pads with cannot be trained')
  if (mode === 'constant') {
    const known = e.known(c.x(1))
    const negated = known?.every(d => typeof d === 'number') ? e.ints(known.map(d => -(d as number))) : c.op('Neg', c.x(1))
    return [e.op('Pad', [c.g, negated, ...(c.has(3) ? ['', c.x(3)] : [])], {})]
  }
  const rank = c.shape().length
  const pads = e.known(c.x(1))
  const axes = c.has(3) ? e.known(c.x(3))?.map(a => ((a as number) + rank) % rank) : c.shape().map((_, i) => i)
  if (pads === undefined || axes === undefined) return c.refuse('its padding is not known ahead')
  let g = c.g
  for (const [k, a] of axes.entries()) {
    const [begin, end] = [pads[k] as number, pads[axes.length + k] as number]
    if (begin === 0 && end === 0) continue
    const size = c.shape()[a]
    if (typeof size !== 'number' || begin < 0 || end < 0) return c.refuse(`mode '${mode}' needs a known size and padding of 0 or more`)
    const matrix = Array.from({ length: begin + size + end }, (_, i) => {
      const from = source(mode, i - begin, size)
      return Array.from({ length: size }, (_, j) => (j === from ? 1 : 0))
    })
    g = applyMatrix(e, g, a, matrix)
  }
  return [g]
}

function source(mode: string, at: number, size: number): number {
  if (at >= 0 && at < size) return at
  if (mode === 'edge') return at < 0 ? 0 : size - 1
  if (mode === 'wrap') return ((at % size) + size) % size
  return at < 0 ? -at : 2 * (size - 1) - at
}

/** Each operand's gradient is the contraction of the result's with the other operand; a letter that only it has is stretched. */
const einsum: Rule = c => {
  const { e } = c
  const { operands, result } = einsumTerms(stringAttribute(c.node, 'equation', ''))
  if (operands.length > 2) c.refuse('only one or two operands are known')
  if (operands.some(t => new Set(t).size !== t.length)) c.refuse('a letter stands twice in one operand')
  return operands.map((term, i) => {
    if (!c.wants(i)) return undefined
    const others = operands.filter((_, k) => k !== i)
    const there = new Set([...result, ...others.join('')])
    const kept = [...term].filter(s => there.has(s)).join('')
    const inputs = [c.g, ...others.map((_, k) => c.x(k < i ? k : k + 1))]
    const product = e.op('Einsum', inputs, { equation: `${[result, ...others].join(',')}->${kept}` })
    if (kept === term) return product
    const missing = [...term].flatMap((s, k) => (there.has(s) ? [] : [k]))
    return e.op('Expand', [e.op('Unsqueeze', [product, e.ints(missing)]), e.op('Shape', [c.x(i)])])
  })
}

export const movement: Record<string, Rule> = {
  Reshape: back,
  Flatten: back,
  Squeeze: back,
  Unsqueeze: back,
  Transpose: transpose,
  Concat: concatenate,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: c => [c.e.op('ScatterElements', [zerosLike(c.e, c.x()), c.x(1), c.g], { axis: axisOf(c, 0), reduction: 'add' })],
  ScatterElements: scatterElements,
  Expand: c => [unbroadcast(c.e, c.g, c.x())],
  Tile: tile,
  Pad: pad,
  Einsum: einsum,
  DepthToSpace: c => {
    if (stringAttribute(c.node, 'mode', 'DCR') !== 'DCR') c.refuse("only mode 'DCR' is known")
    return [c.e.op('SpaceToDepth', [c.g], { blocksize: intAttribute(c.node, 'blocksize', 1) })]
  },
  SpaceToDepth: c => [c.e.op('DepthToSpace', [c.g], { blocksize: intAttribute(c.node, 'blocksize', 1) })],
  Trilu: c => [
    c.e.op('Trilu', [c.g, ...(c.has(1) ? [c.x(1)] : [])], has(c.node, 'upper') ? { upper: intAttribute(c.node, 'upper', 1) } : {})
  ],
  CumSum: c => [
    c.e.op('CumSum', [c.g, c.x(1)], {
      exclusive: intAttribute(c.node, 'exclusive', 0),
      reverse: 1 - intAttribute(c.node, 'reverse', 0)
    })
  ]
}
