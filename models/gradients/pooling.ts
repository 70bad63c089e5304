import { intAttribute, intsAttribute } from '../graph/attributes.ts'
import { isStatic } from '../graph/dims.ts'
import type { Emitter } from '../graph/emitter.ts'
import { floats } from '../graph/tensors.ts'
import { type Window, windowOf } from '../graph/window.ts'
import { spread } from './convolution.ts'
import { type Rule, type RuleContext, reshape, reshapeLike } from './rule.ts'
import { concat, offsets, tap } from './windows.ts'

/*
 * Pooling. The gradient of a maximum goes to the first element of the window that has it (as Caffe and PyTorch break ties); the
 * gradient of an average goes to all elements in equal parts.
 */

function windowOfPool(c: RuleContext): Window {
  const kernel = intsAttribute(c.node, 'kernel_shape', [])
  return windowOf(c.node, c.shape().slice(2), kernel) ?? c.refuse('its padding depends on an input size that is not known ahead')
}

/** Windows that neither overlap nor leave anything out. */
function tiles(c: RuleContext, window: Window): boolean {
  const size = c.shape().slice(2)
  return window.kernel.every(
    (k, i) =>
      window.strides[i] === k &&
      window.dilations[i] === 1 &&
      window.padsBegin[i] === 0 &&
      window.padsEnd[i] === 0 &&
      typeof size[i] === 'number' &&
      (size[i] as number) % k === 0
  )
}

/**
 * Tiled maximum: each tap is compared with the maximum, the first one that equals it takes the gradient, and the taps are woven
 * together again. No indices, so the forward pass keeps its fast form.
 */
function tiledMaximum(c: RuleContext, window: Window): string {
  const { e } = c
  const zero = c.scalar(0)
  let taken: string | undefined
  const parts = offsets(window.kernel).map((o, i, all) => {
    const hit = c.op('Equal', tap(e, c.x(), o, window.strides, c.y), c.y)
    const first = taken === undefined ? hit : c.op('And', hit, c.op('Not', taken))
    if (i < all.length - 1) taken = taken === undefined ? hit : c.op('Or', taken, hit)
    return c.op('Where', first, c.g, zero)
  })
  return reshapeLike(e, weave(e, parts, window.kernel, window.output as number[]), c.x())
}

/**
 * One tensor from its phases: element (p·k + o) of each spatial axis comes from the part of offset o. Axis by axis, the last one
 * first, as concatenations along a new axis: several times faster in onnxruntime than one transposition of all axes.
 *
 * @param parts - a part an offset, last axis fastest, each [..., counts]
 * @returns [-1, counts·kernel]
 */
function weave(e: Emitter, parts: string[], kernel: number[], counts: number[]): string {
  let phases = parts
  const shape = [...counts]
  for (let axis = kernel.length - 1; axis >= 0; axis--) {
    const k = kernel[axis]
    const apart = [-1, ...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]
    shape[axis] *= k
    const woven: string[] = []
    for (let i = 0; i < phases.length; i += k) {
      const group = phases.slice(i, i + k).map(p => reshape(e, p, apart))
      woven.push(reshape(e, concat(e, group, axis + 2), [-1, ...shape]))
    }
    phases = woven
  }
  return phases[0]
}

/** The general maximum: the forward node is made to give indices, and the gradient is added up at them. */
function indexedMaximum(c: RuleContext): string {
  const { e, node } = c
  if ((node.outputs[1] ?? '') === '') {
    node.outputs[1] = e.fresh('Indices')
    e.graph.types.set(node.outputs[1], { type: 'int64', shape: e.shape(node.outputs[0]) })
  }
  if (intAttribute(node, 'storage_order', 0) !== 0) c.refuse('storage_order 1 is not supported')
  const flat = e.op('ConstantOfShape', [e.op('Shape', [reshape(e, c.x(), [-1])])])
  const at = reshape(e, node.outputs[1], [-1])
  const scattered = e.op('ScatterElements', [flat, at, reshape(e, c.g, [-1])], { axis: 0, reduction: 'add' })
  return e.op('Reshape', [scattered, e.op('Shape', [c.x()])])
}

const maxPool: Rule = c => {
  if (!c.wants(0)) return []
  const window = windowOfPool(c)
  return [tiles(c, window) ? tiledMaximum(c, window) : indexedMaximum(c)]
}

/** Number of elements that each window along one axis averages over. */
export function divisors(window: Window, axis: number, size: number, includePad: boolean): number[] {
  const n = window.output[axis] as number
  const [k, d, s, p] = [window.kernel[axis], window.dilations[axis], window.strides[axis], window.padsBegin[axis]]
  return Array.from({ length: n }, (_, i) => {
    let count = 0
    for (let j = 0; j < k; j++) {
      const at = i * s + j * d - p
      if (includePad ? at < size + window.padsEnd[axis] : at >= 0 && at < size) count++
    }
    return count
  })
}

const averagePool: Rule = c => {
  if (!c.wants(0)) return []
  const { e } = c
  const window = windowOfPool(c)
  const size = c.shape().slice(2)
  const include = intAttribute(c.node, 'count_include_pad', 0) !== 0
  const area = window.kernel.reduce((a, b) => a * b, 1)
  let shares: string
  if (isStatic(size)) {
    const counts = size.map((s, i) => divisors(window, i, s, include))
    const map = counts.reduce<number[]>((all, axis) => all.flatMap(a => axis.map(b => a * b)), [1])
    const even = map.every(m => m === map[0])
    const factor = even
      ? c.scalar(1 / map[0])
      : e.constant(
          floats(
            map.map(m => 1 / m),
            [1, 1, ...counts.map(a => a.length)]
          )
        )
    shares = c.op('Mul', c.g, factor)
  } else {
    const plain = window.padsBegin.every(p => p === 0) && window.padsEnd.every(p => p === 0) && intAttribute(c.node, 'ceil_mode', 0) === 0
    if (!plain && !include) c.refuse('padded or rounded-up windows need an input of known size')
    shares = c.op('Mul', c.g, c.scalar(1 / area))
  }
  // Channel by channel the same: channels join the batch, and one kernel of ones spreads them all.
  const ones = e.constant(floats(new Array(area).fill(1), [1, 1, ...window.kernel]))
  if (!isStatic(size)) return c.refuse('it needs an input of known size')
  const flatX = reshape(e, c.x(), [-1, 1, ...size])
  const dx = spread(e, reshape(e, shares, [-1, 1, ...(window.output as number[])]), ones, window, flatX, 1)
  return [reshapeLike(e, dx, c.x())]
}

export const pooling: Record<string, Rule> = { MaxPool: maxPool, AveragePool: averagePool }
