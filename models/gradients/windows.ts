import type { Emitter } from '../graph/emitter.ts'
import type { Dim } from '../graph/types.ts'

/** The size of dimension `axis` of `name` as an int64 vector of one. */
export function sizeValue(e: Emitter, name: string, axis: number): string {
  const d = e.shape(name)[axis]
  return typeof d === 'number' ? e.ints([d]) : e.op('Shape', [name], { start: axis, end: axis + 1 })
}

/**
 * Of the spatial axes of `name`, the elements that a window's tap at `offset` meets: start at the offset, step by the stride, as
 * many as there are windows. `counts` names a value whose spatial axes have as many elements as there are windows.
 */
export function tap(e: Emitter, name: string, offset: number[], strides: number[], counts: string): string {
  const rank = offset.length
  const windows = e.shape(counts).slice(2)
  const shape = e.shape(name)
  const lead = shape.length - rank
  const axes: number[] = []
  offset.forEach((o, i) => {
    if (o !== 0 || strides[i] !== 1 || shape[lead + i] !== windows[i]) axes.push(i)
  })
  if (axes.length === 0) return name
  const ends = axes.map(i => endOf(e, windows[i], offset[i], strides[i], counts, 2 + i))
  const all = ends.every(x => typeof x === 'number')
    ? e.ints(ends as number[])
    : concat(
        e,
        ends.map(x => (typeof x === 'number' ? e.ints([x]) : x)),
        0
      )
  return e.op('Slice', [name, e.ints(axes.map(i => offset[i])), all, e.ints(axes.map(i => lead + i)), e.ints(axes.map(i => strides[i]))])
}

function endOf(e: Emitter, windows: Dim, offset: number, stride: number, counts: string, axis: number): number | string {
  if (typeof windows === 'number') return offset + (windows - 1) * stride + 1
  const reach = e.op('Mul', [sizeValue(e, counts, axis), e.ints([stride])])
  return e.op('Add', [reach, e.ints([offset - stride + 1])])
}

export function concat(e: Emitter, names: string[], axis: number): string {
  return names.length === 1 ? names[0] : e.op('Concat', names, { axis })
}

/** Every offset of a kernel, last axis fastest. */
export function offsets(kernel: number[]): number[][] {
  return kernel.reduce<number[][]>((all, k) => all.flatMap(o => Array.from({ length: k }, (_, i) => [...o, i])), [[]])
}

/** `name` with `begin` and `end` elements of `value` around its last axes; itself where there are none. */
export function padded(e: Emitter, name: string, begin: number[], end: number[], value?: string): string {
  if (begin.every(p => p === 0) && end.every(p => p === 0)) return name
  const lead = new Array(e.shape(name).length - begin.length).fill(0)
  return e.op('Pad', [name, e.ints([...lead, ...begin, ...lead, ...end]), ...(value === undefined ? [] : [value])])
}
